// SPDX-License-Identifier: BSD-3-Clause
// triad on a GPU: 16-byte accesses, one pair of elements per thread.
#include <cmath>
#include <string>

#include "cuda/current_device.hpp"
#include "cuda/fill.hpp"
#include "device/random.hpp"
#include "workloads/contract.hpp"

namespace dlscale {
namespace {

constexpr double scale = 3.0;
constexpr unsigned block = 512;

__global__ void triad_kernel(double* a, const double* b, const double* c, std::size_t count) {
  const std::size_t pair = static_cast<std::size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (2 * pair + 1 < count) {
    const double2 x = reinterpret_cast<const double2*>(b)[pair];
    const double2 y = reinterpret_cast<const double2*>(c)[pair];
    reinterpret_cast<double2*>(a)[pair] = make_double2(x.x + scale * y.x, x.y + scale * y.y);
  } else if (2 * pair < count) {
    a[2 * pair] = b[2 * pair] + scale * c[2 * pair];
  }
}

class TriadCuda final : public Workload {
 public:
  explicit TriadCuda(const WorkContext& context)
      : count_(static_cast<std::size_t>(context.params.integer("bytes")) / sizeof(double)),
        copy_(context.params.text("op") == "copy"),
        seed_(context.seed) {}

  void prepare() override {
    a_ = cuda::DeviceBuffer<double>(count_);
    b_ = cuda::DeviceBuffer<double>(count_);
    a_.set_bytes(0xff, stream_);  // NaN
    cuda::fill_uniform(cuda::Element::f64, b_.data(), count_, seed_, 1, stream_);
    if (!copy_) {
      c_ = cuda::DeviceBuffer<double>(count_);
      cuda::fill_uniform(cuda::Element::f64, c_.data(), count_, seed_, 2, stream_);
    }
    stream_.wait();
  }

  void run() override {
    if (copy_) {
      DLSCALE_CUDA(
          cudaMemcpyAsync(a_.data(), b_.data(), a_.bytes(), cudaMemcpyDeviceToDevice, stream_.get()));
      return;
    }
    const std::size_t pairs = (count_ + 1) / 2, blocks = (pairs + block - 1) / block;
    triad_kernel<<<static_cast<unsigned>(blocks), block, 0, stream_.get()>>>(a_.data(), b_.data(),
                                                                             c_.data(), count_);
    DLSCALE_CUDA(cudaGetLastError());
  }

  void finish() override { stream_.wait(); }

  Check verify() override {
    const std::vector<double> values = a_.read(stream_);
    const std::uint64_t b_key = stream_key(seed_, 1), c_key = stream_key(seed_, 2);
    double worst = 0;
    for (std::size_t i = 0; i < count_; ++i) {
      const double expected = uniform_at(b_key, i) + (copy_ ? 0.0 : scale * uniform_at(c_key, i));
      const double error = std::fabs(values[i] - expected);
      if (!(error <= worst)) worst = error;
      if (std::isnan(worst)) break;
    }
    // One multiplication and one addition of values up to 4, fused or not; a copy is exact.
    return {.error = worst,
            .tolerance = copy_ ? 0 : 8 * 0x1p-53,
            .method = "every element against the formula"};
  }

  std::string results() const override {
    const cuda::DeviceFacts& gpu = cuda::device_facts();
    const std::size_t arrays = copy_ ? 2 : 3;
    return std::string("{\"l2_bytes\": ") + std::to_string(gpu.l2_bytes) +
           ", \"in_cache\": " + (arrays * a_.bytes() < 4 * gpu.l2_bytes ? "true" : "false") + "}";
  }

 private:
  std::size_t count_;
  bool copy_;
  std::uint64_t seed_;
  cuda::Stream stream_;
  cuda::DeviceBuffer<double> a_, b_, c_;
};

}  // namespace

std::unique_ptr<Workload> make_triad_cuda(const WorkContext& context) {
  return std::make_unique<TriadCuda>(context);
}

}  // namespace dlscale

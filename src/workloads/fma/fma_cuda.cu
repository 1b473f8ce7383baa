// SPDX-License-Identifier: BSD-3-Clause
// Independent chains v ← v·x + y in registers, on every multiprocessor of the GPU.
#include <cmath>
#include <string>

#include "cuda/memory.hpp"
#include "workloads/contract.hpp"
#include "workloads/fma/fma_gpu.hpp"

namespace dlscale {
namespace {

// From 0 a chain gives y·(1 − xᴺ)/(1 − x); x so near 1 that the result tells how many steps were made.
template <class T>
constexpr T x_of = sizeof(T) == 8 ? static_cast<T>(1 - 0x1p-20) : static_cast<T>(1 - 0x1p-10);
template <class T>
constexpr T y_of = sizeof(T) == 8 ? static_cast<T>(0x1p-20) : static_cast<T>(0x1p-10);

// x and y are arguments, so that the compiler can't work the result out.
template <class T>
__global__ void chains_kernel(double* sums, T x, T y) {
  T v[fma_gpu_chains] = {};
  for (int step = 0; step < fma_gpu_steps; ++step)
#pragma unroll
    for (int c = 0; c < fma_gpu_chains; ++c) v[c] = v[c] * x + y;
  double sum = 0;
#pragma unroll
  for (int c = 0; c < fma_gpu_chains; ++c) sum += static_cast<double>(v[c]);
  sums[static_cast<std::size_t>(blockIdx.x) * blockDim.x + threadIdx.x] = sum;
}

template <class T>
class FmaCuda final : public Workload {
 public:
  void prepare() override {
    sums_ = cuda::DeviceBuffer<double>(static_cast<std::size_t>(fma_gpu_blocks * fma_gpu_threads));
    sums_.set_bytes(0xff, stream_);
    stream_.wait();
  }
  void run() override {
    chains_kernel<T>
        <<<fma_gpu_blocks, fma_gpu_threads, 0, stream_.get()>>>(sums_.data(), x_of<T>, y_of<T>);
    DLSCALE_CUDA(cudaGetLastError());
  }
  void finish() override { stream_.wait(); }

  Check verify() override {
    const double x = x_of<T>, y = y_of<T>;
    const double expected = y * (1 - std::pow(x, static_cast<double>(fma_gpu_steps))) / (1 - x);
    double worst = 0;
    for (const double sum : sums_.read(stream_)) {
      const double error = std::fabs(sum / static_cast<double>(fma_gpu_chains) / expected - 1);
      if (!(error <= worst)) worst = error;
      if (std::isnan(worst)) break;
    }
    // Rounding errors decay with xⁱ: at most 1/(1 − x) of them count.
    const double u = sizeof(T) == 8 ? 0x1p-53 : 0x1p-24;
    return {
        .error = worst, .tolerance = 4 * u / (1 - x) + 1e-9, .method = "closed form of the recurrence"};
  }

 private:
  cuda::Stream stream_;
  cuda::DeviceBuffer<double> sums_;
};

}  // namespace

std::unique_ptr<Workload> make_fma_cuda(const WorkContext& context) {
  if (context.params.text("dtype") == "f64") return std::make_unique<FmaCuda<double>>();
  return std::make_unique<FmaCuda<float>>();
}

}  // namespace dlscale

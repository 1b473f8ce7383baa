// SPDX-License-Identifier: BSD-3-Clause
// collective between GPUs. NCCL works in a stream of its own. MPI is given the GPUs' memory where it can
// take it, else pinned copies of it on the host, which are part of the time.
#include <dlfcn.h>

#include <nlohmann/json.hpp>
#include <type_traits>

#include "cuda/memory.hpp"
#include "cuda/nccl.hpp"
#include "workloads/collective/collective_data.hpp"
#include "workloads/collective/collective_mpi.hpp"
#include "workloads/together_mpi.hpp"

namespace dlscale {
namespace {

using cuda::DeviceBuffer;
using cuda::PinnedBuffer;

template <class T>
cuda::Element element_of() {
  if constexpr (std::is_same_v<T, double>) return cuda::Element::f64;
  if constexpr (std::is_same_v<T, float>) return cuda::Element::f32;
  if constexpr (std::is_same_v<T, Bf16>) return cuda::Element::bf16;
  return cuda::Element::f16;
}

// Open MPI and MPICH have this function, built for CUDA or not; others may not.
bool mpi_takes_device_memory() {
  const auto query = reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT, "MPIX_Query_cuda_support"));
  return query != nullptr && query() == 1;
}

/// Buffers on the device, and what is common to all who move them.
template <class T>
class CollectiveCuda : public Workload {
 public:
  explicit CollectiveCuda(const WorkContext& context)
      : comm_(*context.participants),
        shape_(collective_shape(context.params, comm_.size())),
        data_(shape_, context.seed) {}

  void prepare() override {
    together(comm_, [this] { allocate(); });
    connect();
    reset();
  }

  // What is not written again shows up as NaN: all bits set.
  void reset() override {
    out_.set_bytes(0xff, stream());
    const bool has_input = shape_.op != CollectiveOp::broadcast || comm_.rank() == 0;
    if (shape_.one_buffer() && has_input) put_input();
    runs_ = 0;
    stream().wait();
  }

  // As on the CPU: in place every sample starts afresh, its repetitions don't.
  void before_sample() override {
    if (!shape_.compounds()) return;
    put_input();
    runs_ = 0;
    stream().wait();
  }

  void run() override {
    call();
    ++runs_;
  }

  Check verify() override {
    if (shape_.compounds() && runs_ != 1) {  // the same on all ranks
      reset();
      run();
      finish();
      ran_once_more_ = true;
    }
    std::vector<T> values(static_cast<std::size_t>(shape_.output_count()));
    DLSCALE_CUDA(cudaMemcpyAsync(values.data(), output(), values.size() * sizeof(T),
                                 cudaMemcpyDeviceToHost, stream().get()));
    stream().wait();
    Check check = data_.check(comm_.rank(), values);
    check.method += ran_once_more_ ? "; repetitions compound in place: refilled and run once more"
                                   : "; what the last timed run left";
    return check;
  }

  std::string results() const override {
    nlohmann::json facts = {
        {"message_bytes", shape_.count * static_cast<std::int64_t>(sizeof(T))},
        {"checked", ran_once_more_ ? "one more run, refilled" : "the last timed run"},
    };
    describe(facts);
    return facts.dump();
  }

 protected:
  virtual void allocate() {
    std::vector<T> host(static_cast<std::size_t>(shape_.input_count()));
    data_.fill(comm_.rank(), 0, host);
    out_ = DeviceBuffer<T>(
        static_cast<std::size_t>(shape_.one_buffer() ? shape_.count : shape_.output_count()));
    in_ = DeviceBuffer<T>(host.size());
    in_.write(host, stream());
    stream().wait();
  }
  /// Collective: whatever ranks must do with each other before the first run.
  virtual void connect() {}
  virtual void call() = 0;
  virtual void describe(nlohmann::json& facts) const = 0;
  virtual const cuda::Stream& stream() const = 0;
  /// Where this rank's result is.
  virtual const T* output() const { return out_.data(); }

  // Of one buffer: where the operation looks for this rank's input.
  T* input_place() const {
    const bool gathers = shape_.op == CollectiveOp::allgather;
    return out_.data() + (gathers ? comm_.rank() * shape_.block() : 0);
  }
  const T* send() const { return shape_.one_buffer() ? input_place() : in_.data(); }

  const Communicator& comm_;
  CollectiveShape shape_;
  DeviceBuffer<T> in_;   ///< this rank's input; in place, where it is copied from
  DeviceBuffer<T> out_;  ///< in place: the one buffer

 private:
  void put_input() {
    DLSCALE_CUDA(cudaMemcpyAsync(input_place(), in_.data(), in_.bytes(), cudaMemcpyDeviceToDevice,
                                 stream().get()));
  }

  CollectiveData<T> data_;
  std::int64_t runs_ = 0;  ///< since the input was filled
  bool ran_once_more_ = false;
};

template <class T>
class CollectiveNccl final : public CollectiveCuda<T> {
 public:
  using CollectiveCuda<T>::CollectiveCuda;
  void finish() override { nccl_->wait(); }

 private:
  // The stream exists with the communicator; buffers are made before that.
  const cuda::Stream& stream() const override { return nccl_ ? nccl_->stream() : filling_; }
  void connect() override { nccl_ = cuda::shared_nccl(this->comm_); }

  // NCCL leaves an in-place reduce-scatter's result at the rank's own place in the buffer.
  T* result() const {
    const CollectiveShape& s = this->shape_;
    const bool inside = s.in_place && s.op == CollectiveOp::reduce_scatter;
    return this->out_.data() + (inside ? this->comm_.rank() * s.block() : 0);
  }
  const T* output() const override { return result(); }

  void call() override {
    const CollectiveShape& s = this->shape_;
    const ncclDataType_t type = cuda::nccl_type(element_of<T>());
    const auto count = static_cast<std::size_t>(s.count), block = static_cast<std::size_t>(s.block());
    const cudaStream_t stream = nccl_->stream().get();
    const ncclComm_t comm = nccl_->get();
    const T* in = this->send();
    switch (s.op) {
      case CollectiveOp::allreduce:
        DLSCALE_CUDA(ncclAllReduce(in, result(), count, type, ncclSum, comm, stream));
        break;
      case CollectiveOp::reduce_scatter:
        DLSCALE_CUDA(ncclReduceScatter(in, result(), block, type, ncclSum, comm, stream));
        break;
      case CollectiveOp::allgather:
        DLSCALE_CUDA(ncclAllGather(in, result(), block, type, comm, stream));
        break;
      case CollectiveOp::broadcast:
        DLSCALE_CUDA(ncclBroadcast(in, result(), count, type, 0, comm, stream));
        break;
      case CollectiveOp::alltoall:  // as nccl-tests does; a call of its own exists since NCCL 2.28
        DLSCALE_CUDA(ncclGroupStart());
        for (int peer = 0; peer < s.ranks; ++peer) {
          const std::size_t at = static_cast<std::size_t>(peer) * block;
          DLSCALE_CUDA(ncclSend(in + at, block, type, peer, comm, stream));
          DLSCALE_CUDA(ncclRecv(result() + at, block, type, peer, comm, stream));
        }
        DLSCALE_CUDA(ncclGroupEnd());
        break;
    }
  }

  void describe(nlohmann::json& facts) const override {
    facts["implementation"] = "nccl";
    facts["nccl"] = cuda::nccl_version();
  }

  cuda::Stream filling_;
  std::shared_ptr<cuda::NcclCommunicator> nccl_;
};

template <class T>
class CollectiveMpiOnGpu final : public CollectiveCuda<T> {
 public:
  using CollectiveCuda<T>::CollectiveCuda;
  void finish() override { stream_.wait(); }

 private:
  const cuda::Stream& stream() const override { return stream_; }

  // An operation of our own adds on the host, so bf16 sums go there whatever MPI can do.
  void allocate() override {
    CollectiveCuda<T>::allocate();
    const CollectiveShape& s = this->shape_;
    if (std::is_same_v<T, Bf16> && s.sums()) sum_of_bf16_ = make_bf16_sum();
    direct_ = !sum_of_bf16_ && mpi_takes_device_memory();
    if (direct_) return;
    if (!s.one_buffer()) host_in_ = PinnedBuffer<T>(this->in_.size());
    host_out_ = PinnedBuffer<T>(this->out_.size());
  }

  void call() override {
    const CollectiveShape& s = this->shape_;
    const MPI_Op sum = sum_of_bf16_ ? sum_of_bf16_.get() : MPI_SUM;
    if (direct_) {
      const void* send = s.one_buffer() ? MPI_IN_PLACE : static_cast<const void*>(this->in_.data());
      call_mpi(s, send, this->out_.data(), mpi_type<T>(), sum, this->comm_);
      return;
    }
    const bool broadcast = s.op == CollectiveOp::broadcast, root = this->comm_.rank() == 0;
    T* const to =
        s.one_buffer() ? host_out_.data() + (this->input_place() - this->out_.data()) : host_in_.data();
    if (!broadcast || root) copy(to, this->send(), this->in_.size(), cudaMemcpyDeviceToHost);
    stream_.wait();
    call_mpi(s, s.one_buffer() ? MPI_IN_PLACE : static_cast<const void*>(host_in_.data()),
             host_out_.data(), mpi_type<T>(), sum, this->comm_);
    if (!broadcast || !root)
      copy(this->out_.data(), host_out_.data(), static_cast<std::size_t>(s.output_count()),
           cudaMemcpyHostToDevice);
  }

  void copy(T* to, const T* from, std::size_t count, cudaMemcpyKind kind) {
    DLSCALE_CUDA(cudaMemcpyAsync(to, from, count * sizeof(T), kind, stream_.get()));
  }

  void describe(nlohmann::json& facts) const override {
    facts["implementation"] = "mpi";
    facts["mpi_takes_device_memory"] = mpi_takes_device_memory();
    facts["path"] = direct_ ? "device memory given to MPI" : "pinned host memory, copied both ways";
    if (sum_of_bf16_) facts["bf16_sum"] = std::string(available_bf16_sum_kernels().front().name);
  }

  cuda::Stream stream_;
  OwnedMpiOp sum_of_bf16_;
  PinnedBuffer<T> host_in_, host_out_;
  bool direct_ = false;
};

template <class T>
std::unique_ptr<Workload> make(const WorkContext& context) {
  if (context.params.text("implementation") == "nccl")
    return std::make_unique<CollectiveNccl<T>>(context);
  if constexpr (std::is_same_v<T, F16>)
    throw Error(ExitCode::case_failed, "MPI has no f16");
  else
    return std::make_unique<CollectiveMpiOnGpu<T>>(context);
}

}  // namespace

std::unique_ptr<Workload> make_collective_cuda(const WorkContext& context) {
  const std::string& dtype = context.params.text("dtype");
  if (dtype == "f64") return make<double>(context);
  if (dtype == "f32") return make<float>(context);
  return dtype == "bf16" ? make<Bf16>(context) : make<F16>(context);
}

}  // namespace dlscale

// SPDX-License-Identifier: BSD-3-Clause
// train: what a case means, and its epochs, targets and failures when it is run.
#include "workloads/train/train.hpp"

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/error.hpp"
#include "dlscale_catch.hpp"
#include "train_params.hpp"

using namespace dlscale;

namespace {

/// One measured epoch, by name of the column.
std::map<std::string, double> run_epoch(Workload& workload, const Params& params, std::int32_t block) {
  workload.begin_block(block);
  for (std::int64_t i = 0; i < train_block_samples(params, 1); ++i) workload.run();
  workload.end_block(block);
  const std::vector<Column> columns = train_epochs();
  std::vector<double> values(columns.size());
  workload.take_epoch(values);
  std::map<std::string, double> named;
  for (std::size_t i = 0; i < columns.size(); ++i) named[columns[i].name] = values[i];
  return named;
}

}  // namespace

TEST_CASE("a case of train that makes no sense is refused, the key being named") {
  CHECK(train_validate(train_params({})).empty());
  for (const Params& example : train_examples()) CHECK(train_validate(example).empty());
  const auto refused = [](const Overrides& overrides, const char* word) {
    const std::string problem = train_validate(train_params(overrides));
    INFO(problem);
    CHECK(contains(problem, word));
  };
  refused({{"batch", whole(65)}, {"train_images", whole(64)}}, "batch = 65");
  refused({{"image", whole(27)}, {"data", text("synthetic")}}, "image = 27");
  refused({{"classes", whole(9)}, {"data", text("synthetic")}}, "classes = 9");
  refused({{"classes", whole(1)}}, "classes = 1");
  refused({{"target_accuracy", 0.9}}, "whole_epochs");
  refused({{"train_images", whole(10'000'001)}}, "train_images");
  refused({{"algorithm", text("winograd")}, {"dtype", text("bf16")}}, "winograd");
  CHECK(train_validate(train_params({{"target_accuracy", 0.9}, {"whole_epochs", true}})).empty());
}

TEST_CASE("auto means the synthetic set where it fits, else random images") {
  const auto source = [](const Overrides& overrides) {
    return train_data(train_params(overrides)).source;
  };
  CHECK(source({}) == "synthetic");
  CHECK(source({{"image", whole(64)}}) == "synthetic");
  CHECK(source({{"image", whole(65)}}) == "random");
  CHECK(source({{"model", text("vgg19")}, {"image", whole(32)}}) == "random");  // 1000 classes
  CHECK(source({{"model", text("vgg19")}, {"image", whole(32)}, {"classes", whole(10)}}) == "synthetic");
  CHECK(source({{"model", text("resnet50v2")}}) == "random");
  CHECK(source({{"data", text("random")}}) == "random");
  CHECK(source({{"data", text("/data/mnist")}}) == "/data/mnist");
}

TEST_CASE("steps of an epoch: all images with whole epochs, full batches only without") {
  const nn::Shape input{1, 28, 28};
  const Params epochs = epochs_case();
  CHECK(train_block_samples(epochs, 4) == 6);
  CHECK_FALSE(train_loader_options(epochs, input, 1, false).drop_last);
  CHECK(train_loader_options(epochs, input, 1, false).shuffle);
  const Params steps = train_params({});
  CHECK(train_block_samples(steps, 4) == 0);
  CHECK(train_loader_options(steps, input, 1, false).drop_last);
  const nn::LoaderOptions test = train_loader_options(epochs, input, 1, true);
  CHECK_FALSE(test.drop_last);
  CHECK_FALSE(test.shuffle);
  CHECK(test.batch == 10);
  // Its own batch by default, never more than there are images.
  CHECK(train_test_batch(epochs_case({{"test_batch", whole(0)}})) == 8);
  CHECK(train_test_batch(epochs_case({{"test_batch", whole(1000)}})) == 21);
}

TEST_CASE("an epoch's values: all images, a validation, parts within the time") {
  const Params params = epochs_case();
  const auto workload = prepared(params);
  const auto first = run_epoch(*workload, params, 0);
  const auto second = run_epoch(*workload, params, 1);
  for (const auto& epoch : {first, second}) {
    CHECK(epoch.at("images") == 43);
    CHECK(epoch.at("loss") > 0);
    CHECK(std::isfinite(epoch.at("test_loss")));
    const double correct = 21 * epoch.at("test_accuracy");
    CHECK(correct == Approx(std::round(correct)));  // a count of images
    CHECK(epoch.at("train") > 0);
    CHECK(epoch.at("validate") > 0);
    CHECK(epoch.at("cpu") > 0);
    CHECK(epoch.at("stall") > 0);
    CHECK(epoch.at("stall") <= epoch.at("train"));
  }
  CHECK(second.at("loss") != first.at("loss"));
  CHECK(nlohmann::json::parse(workload->results()).at("synthetic") == true);
  CHECK(nlohmann::json::parse(workload->results()).at("steps") == 12);
}

TEST_CASE("an epoch is spent on nothing that belongs before it") {
  const Params params = epochs_case();
  const auto workload = prepared(params);
  const auto held = [&] { return nlohmann::json::parse(workload->results()).at("executor_bytes"); };
  const auto before = held();
  run_epoch(*workload, params, 0);
  CHECK(held() == before);  // the programs of the validation were there
}

TEST_CASE("epochs start from the same first weights, whatever warmed up before") {
  const Params params = epochs_case();
  const auto cold = prepared(params), warm = prepared(params);
  warm->begin_block(-1);
  for (int i = 0; i < 8; ++i) warm->run();  // beyond the end of an epoch
  warm->end_block(-1);
  for (std::int32_t block = 0; block < 2; ++block) {
    const auto a = run_epoch(*cold, params, block), b = run_epoch(*warm, params, block);
    CHECK(a.at("loss") == b.at("loss"));
    CHECK(a.at("test_loss") == b.at("test_loss"));
    CHECK(a.at("test_accuracy") == b.at("test_accuracy"));
  }
  const auto other = prepared(params, 43);
  CHECK(run_epoch(*other, params, 0).at("loss") != run_epoch(*prepared(params), params, 0).at("loss"));
}

TEST_CASE("without whole epochs the run goes on into the next epoch") {
  // 4 full batches, then 3 images that are left out.
  const Params params =
      train_params({{"batch", whole(5)}, {"train_images", whole(23)}, {"workers", whole(1)}});
  const auto workload = prepared(params);
  workload->begin_block(0);
  for (int i = 0; i < 11; ++i) workload->run();
  workload->end_block(0);
  CHECK(nlohmann::json::parse(workload->results()).at("steps") == 11);
  std::vector<double> parts(6);
  workload->take_parts(parts);
  CHECK(std::accumulate(parts.begin(), parts.end(), 0.0) > 0);
  CHECK(parts[4] == 0);  // reduce: one rank
  CHECK(workload->verify().passed());
}

TEST_CASE("a missed accuracy is a failed check that says so") {
  const Params params = epochs_case({{"target_accuracy", 0.9999}});
  const auto workload = prepared(params);
  const double reached = run_epoch(*workload, params, 0).at("test_accuracy");
  REQUIRE(reached < 0.9999);
  const Check check = workload->verify();
  INFO(check.message);
  CHECK_FALSE(check.passed());
  CHECK(check.error == Approx(0.9999 - reached));
  CHECK(check.tolerance == 0);
  CHECK(contains(check.message, "test accuracy"));
  CHECK(contains(check.message, "0.9999"));
  CHECK(contains(check.message, "after 1 epoch)"));
}

TEST_CASE("an accuracy that is reached is not the whole check") {
  const Params params = epochs_case({{"target_accuracy", 1e-9}});
  const auto workload = prepared(params);
  REQUIRE(run_epoch(*workload, params, 0).at("test_accuracy") > 0);
  const Check check = workload->verify();
  CHECK(check.passed());
  CHECK(check.message.empty());
  CHECK(contains(check.method, "every layer"));
}

TEST_CASE("no epoch, no accuracy: the target is missed") {
  const auto workload = prepared(epochs_case({{"target_accuracy", 1e-9}}));
  CHECK_FALSE(workload->verify().passed());
}
TEST_CASE("a run that explodes throws within steps") {
  const Params params = epochs_case({{"optimizer", text("sgd")}, {"lr", 1e6}});
  const auto workload = prepared(params);
  std::string message;
  try {
    run_epoch(*workload, params, 0);
  } catch (const Error& error) {
    message = error.what();
  }
  INFO(message);
  CHECK(contains(message, "training failed at step 2: "));
}

TEST_CASE("the memory that was predicted is what is held") {
  for (const Overrides& overrides :
       std::initializer_list<Overrides>{{{"batch", whole(64)}},
                                        {{"batch", whole(64)}, {"algorithm", text("direct")}},
                                        {{"batch", whole(16)}, {"optimizer", text("sgd")}}}) {
    const Params params = train_params(overrides);
    const nn::Graph graph = network_graph(params);
    const double predicted =
        predicted_memory(graph, train_options(params, 1, 0), network_batch(params), nn::Mode::training)
            .total();
    Params small = params;
    small.set("train_images", whole(64));
    const auto workload = prepared(small);
    const double held = nlohmann::json::parse(workload->results()).at("executor_bytes");
    INFO(held << " held, " << predicted << " predicted");
    CHECK(held / predicted > 0.85);
    CHECK(held / predicted < 1.15);
  }
}

TEST_CASE("memory grows with the batch, the set, and a validation's batch") {
  const auto memory = [](const Overrides& overrides) {
    return train_cost(train_params(overrides), 1, 2).memory_bytes;
  };
  const double base = memory({});
  CHECK(memory({{"batch", whole(128)}}) > base);
  CHECK(memory({{"train_images", whole(120000)}}) == Approx(base + 60000 * 785));
  CHECK(memory({{"optimizer", text("sgd")}}) < base);
  CHECK(memory({{"whole_epochs", true}, {"test_batch", whole(1000)}}) >
        memory({{"whole_epochs", true}, {"test_batch", whole(10)}}));
  CHECK(memory({{"workers", whole(4)}}) > base);
}

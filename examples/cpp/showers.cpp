// Showers from an exported model, one at a time, with onnxruntime's C++ API. The contract: docs/deployment.md.
//
//   caloforge export MODEL -o model.onnx
//   g++ -std=c++17 -O2 showers.cpp -I$ORT/include -L$ORT/lib -Wl,-rpath,$ORT/lib -lonnxruntime -o showers
//   echo "20000 0 0 0.1 0 11" | ./showers model.onnx > showers.f32
//
// $ORT is an unpacked release of onnxruntime; Debian's libonnxruntime-dev has its headers in /usr/include/onnxruntime.
// A line of the input holds the conditions of a shower. The output holds its noise and its energies, as float32.
#include <onnxruntime_cxx_api.h>

#include <algorithm>
#include <cstdint>
#include <iostream>
#include <iterator>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

using Numbers = std::vector<float>;

class Model {
 public:
  explicit Model(const char* path) : session_(environment_, path, one_thread()) {
    if (entry("format_version") != "1") throw std::runtime_error(std::string(path) + " is not of format version 1");
    noise_width = std::stoul(entry("noise_width"));
    low_ = numbers(entry("low"));
    high_ = numbers(entry("high"));
    particles_ = numbers(entry("particles"));
  }

  std::size_t noise_width;

  // The graph gives something for any conditions; outside the domain it means nothing.
  void check(const Numbers& conditions) const {
    bool inside = conditions.size() == low_.size() + 1 &&
                  std::count(particles_.begin(), particles_.end(), conditions.back()) == 1;
    for (std::size_t i = 0; inside && i < low_.size(); ++i)
      inside = low_[i] <= conditions[i] && conditions[i] <= high_[i];
    if (!inside) throw std::runtime_error("conditions outside the domain of the model: " + entry("conditions"));
  }

  // Energies (N, cells) in MeV from conditions (N, C + 1) and noise (N, noise_width). Several threads may call at once.
  Numbers sample(Numbers& conditions, Numbers& noise) {
    const auto n = static_cast<std::int64_t>(noise.size() / noise_width);
    const char *const inputs[] = {"conditions", "noise"}, *const outputs[] = {"showers"};
    const Ort::Value given[] = {tensor(conditions, n), tensor(noise, n)};
    const auto made = session_.Run(Ort::RunOptions{}, inputs, given, 2, outputs, 1);
    const float* energies = made[0].GetTensorData<float>();
    return {energies, energies + made[0].GetTensorTypeAndShapeInfo().GetElementCount()};
  }

 private:
  static Ort::SessionOptions one_thread() {  // threads share showers, not the operations of one
    Ort::SessionOptions options;
    options.SetIntraOpNumThreads(1);
    return options;
  }

  static Ort::Value tensor(Numbers& values, std::int64_t n) {  // no copy
    const std::int64_t shape[] = {n, static_cast<std::int64_t>(values.size()) / n};
    const auto memory = Ort::MemoryInfo::CreateCpu(OrtDeviceAllocator, OrtMemTypeCPU);
    return Ort::Value::CreateTensor<float>(memory, values.data(), values.size(), shape, 2);
  }

  std::string entry(const std::string& name) const {
    Ort::AllocatorWithDefaultOptions allocator;
    const auto metadata = session_.GetModelMetadata();
    const auto value = metadata.LookupCustomMetadataMapAllocated(("caloforge." + name).c_str(), allocator);
    return value ? value.get() : "";
  }

  static Numbers numbers(const std::string& text) {
    std::istringstream stream(text);
    return {std::istream_iterator<float>(stream), {}};
  }

  Ort::Env environment_{ORT_LOGGING_LEVEL_WARNING, "caloforge"};
  Ort::Session session_;
  Numbers low_, high_, particles_;
};

int main(int argc, char** argv) try {
  if (argc != 2) throw std::runtime_error("expected the path of an exported model");
  Model model(argv[1]);
  std::string line;
  for (std::uint32_t event = 0; std::getline(std::cin, line); ++event) {
    std::istringstream stream(line);
    Numbers conditions{std::istream_iterator<float>(stream), {}}, noise(model.noise_width);
    model.check(conditions);
    std::seed_seq seed{1u, event};  // a generator for each event: neither order nor threads change a shower
    std::mt19937 generator(seed);
    std::normal_distribution<float> normal;
    std::generate(noise.begin(), noise.end(), [&] { return normal(generator); });
    for (const Numbers& values : {noise, model.sample(conditions, noise)})
      std::cout.write(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
  }
} catch (const std::exception& error) {
  std::cerr << "error: " << error.what() << "\n";
  return 1;
}

// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0
//
// Stands in for libFuzzer's main where the build does not fuzz: runs the fuzz
// target once on the empty input and once on each file that the arguments name,
// by -seed_inputs=@LIST (a file of comma-separated paths) or directly. Other
// flags of libFuzzer are ignored.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

bool ReadFile(const std::string& path, std::string& contents) {
  std::ifstream in(path, std::ios::binary);
  contents.assign(std::istreambuf_iterator<char>(in), {});
  return in.good() || in.eof();
}

bool RunFile(const std::string& path) {
  std::string contents;
  if (!ReadFile(path, contents)) {
    std::fprintf(stderr, "cannot read %s\n", path.c_str());
    return false;
  }
  std::printf("Running: %s (%zu bytes)\n", path.c_str(), contents.size());
  std::fflush(stdout);
  // A copy of exactly this size lets AddressSanitizer see a read past the end.
  std::vector<uint8_t> input(contents.begin(), contents.end());
  LLVMFuzzerTestOneInput(input.data(), input.size());
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  constexpr std::string_view kSeedInputs = "-seed_inputs=@";
  std::vector<std::string> paths;
  for (int i = 1; i < argc; ++i) {
    const std::string_view arg = argv[i];
    if (arg.starts_with(kSeedInputs)) {
      std::string list;
      if (!ReadFile(std::string(arg.substr(kSeedInputs.size())), list)) {
        std::fprintf(stderr, "cannot read the list in %s\n", argv[i]);
        return 1;
      }
      std::istringstream in(list);
      for (std::string path; std::getline(in, path, ',');)
        paths.push_back(path);
    } else if (!arg.starts_with("-")) {
      paths.emplace_back(arg);
    }
  }
  bool ok = true;
  LLVMFuzzerTestOneInput(nullptr, 0);
  for (const std::string& path : paths) ok = RunFile(path) && ok;
  std::printf("Replayed %zu inputs\n", paths.size());
  return ok ? 0 : 1;
}

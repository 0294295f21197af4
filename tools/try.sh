#!/bin/sh
# Builds pumice and starts it: without arguments a chat with the built-in starter model, else with the arguments
# given, as in `tools/try.sh run -p "What is pumice?"`. Works from any directory; everything but answers goes to
# standard error, so that it may stand in a pipe.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
die() { printf '%s\n' "try: $*" >&2; exit 1; }

sh "$root/tools/setup.sh" </dev/null || exit 1
(
    cd "$root"
    if [ ! -f build/release/build.ninja ]; then
        cmake --preset release || die "CMake could not configure build/release; see its message above (if the directory was moved or copied, remove build/release and run this again)"
    fi
    cmake --build --preset release --target pumice pumice-gguf || die "the build failed; see the message above"
) </dev/null >&2 || exit 1
exec "$root/build/release/pumice" "$@"

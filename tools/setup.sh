#!/bin/sh
# Installs what is missing to build pumice (with --tests: to test it as well) on Debian and Ubuntu, through apt-get.
# On other systems it only says what is missing. Does nothing, and asks for nothing, when all is there.
set -eu

say() { printf '%s\n' "setup: $*" >&2; }
die() { say "$*"; exit 1; }

tests=no
case "${1-}" in
'') ;;
--tests) tests=yes ;;
-h | --help)
    echo "usage: tools/setup.sh [--tests]    install what building (and testing) pumice needs"
    exit 0
    ;;
*) die "unknown option $1; the only one is --tests" ;;
esac

have() { command -v "$1" >/dev/null 2>&1; }
installed() { have dpkg-query && dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; }
any_file() { for f in "$@"; do if [ -e "$f" ]; then return 0; fi; done; return 1; }
library() { PATH="$PATH:/sbin:/usr/sbin" ldconfig -p 2>/dev/null | grep -q "$1"; }

missing=
want() { # want PACKAGE test-command...
    package=$1
    shift
    if ! "$@" && ! installed "$package"; then missing="$missing $package"; fi
}

compiler() { have cc && have make && echo '#include <stdio.h>' | cc -E - >/dev/null 2>&1; }
vulkan_header() { echo '#include <vulkan/vulkan.h>' | cc -E - >/dev/null 2>&1; }
vulkan_driver() { any_file /usr/share/vulkan/icd.d/*.json /etc/vulkan/icd.d/*.json /usr/local/share/vulkan/icd.d/*.json; }
lavapipe() { any_file /usr/share/vulkan/icd.d/lvp_icd*.json; }
glslang_any() { have glslangValidator || have glslang; }
cjson() { have pkg-config && pkg-config --exists libcjson; }
library_dev() { have pkg-config && pkg-config --exists "$1"; }
layers() {
    any_file /usr/share/vulkan/explicit_layer.d/VkLayer_khronos_validation.json \
        /etc/vulkan/explicit_layer.d/VkLayer_khronos_validation.json
}
clang_runtime() { any_file /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a; }

want build-essential compiler
want cmake have cmake
want ninja-build have ninja
want pkg-config have pkg-config
want glslang-tools glslang_any
want libvulkan-dev vulkan_header
want libvulkan1 library libvulkan.so.1
want mesa-vulkan-drivers vulkan_driver
want libcjson-dev cjson
want libsdl2-dev library_dev sdl2
want libsdl2-ttf-dev library_dev SDL2_ttf
want libmd4c-dev library_dev md4c
want libfontconfig-dev library_dev fontconfig
want git have git
if [ "$tests" = yes ]; then
    want mesa-vulkan-drivers lavapipe
    want vulkan-validationlayers layers
    want spirv-tools have spirv-val
    want xvfb have Xvfb
    want xauth have xauth
    want fonts-dejavu-core any_file /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf
    want clang have clang
    want python3 have python3
    if ! have npm; then
        want nodejs have node
        missing="$missing npm"
    fi
    if ! clang_runtime; then missing="$missing libclang-rt"; fi
fi

exists() { apt-cache show "$1" 2>/dev/null | grep -q '^Package:'; }

# the sanitizer and fuzzer run-time of clang has another package name in every release
clang_runtime_package() {
    version=$(apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9][0-9]*\)$/\1/p' | head -n 1)
    for p in libclang-rt-dev ${version:+"libclang-rt-$version-dev" "libclang-common-$version-dev"}; do
        if exists "$p"; then
            echo "$p"
            return
        fi
    done
    echo libclang-rt-dev
}

install_missing() {
    root=
    if [ "$(id -u)" != 0 ]; then
        have sudo || die "these packages are missing:$missing; this is not root and there is no sudo: install them as root"
        root=sudo
    fi
    say "installing$missing"
    $root apt-get -o DPkg::Lock::Timeout=300 update </dev/null >&2 ||
        say "apt-get update failed; going on with the package lists that are there"
    packages=
    for p in $missing; do
        if [ "$p" = libclang-rt ]; then p=$(clang_runtime_package); fi
        case " $packages " in *" $p "*) ;; *) packages="$packages $p" ;; esac
    done
    $root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends \
        $packages </dev/null >&2 ||
        die "apt-get could not install:$packages; see its message above (is there a network, is the disk full?)"
}

if [ -n "$missing" ]; then
    if have apt-get && have dpkg-query; then
        install_missing
    else
        say "this is not Debian or Ubuntu; please install what corresponds to these packages:$missing"
        for tool in cc cmake ninja pkg-config; do
            have "$tool" || die "$tool is missing, so pumice cannot be built yet"
        done
        glslang_any || die "glslangValidator is missing, so pumice cannot be built yet"
    fi
fi

version=$(cmake --version 2>/dev/null | sed -n 's/^cmake version \([0-9]*\.[0-9]*\).*/\1/p')
case "$version" in
'') die "cmake does not run; pumice needs CMake 3.25 or newer" ;;
[012].* | 3.? | 3.1? | 3.2[01234])
    die "CMake $version is too old: pumice needs 3.25 or newer (Ubuntu 22.04: 'snap install cmake --classic' or 'pip install cmake' gives a newer one)"
    ;;
esac

#!/bin/sh
# Everything that SPEED.md wants to know of a device ("First on a GPU"), in one go: the device, the self-test, each kernel against the
# ceilings, what `pumice tune` chooses, whole models with and without it, caches of both kinds at depth, and where a token's time goes.
# Each step has a file in OUT and a limit of its own (then it gets a Ctrl-C), so that one that hangs takes no more than that from the
# others; summary.txt says how each ended. Exit code 1 if one failed.
# usage: measure_device.sh [-m MODEL.gguf] [-d DEVICE] [-b DIRECTORY_OF_PUMICE] [-q] OUT
#   -m  the model (default: Qwen3-4B's shape with random weights in Q4_K_M, 2.5 GB, made in OUT and removed)
#   -d  as pumice --device takes it (default: auto)
#   -b  where pumice and pumice-gguf are (default: build/release of this repository)
#   -q  quick: small sizes, to try this script on a software driver
set -u

bin=$(cd "$(dirname "$0")/../.." && pwd)/build/release
model= device=auto quick= failed=0 made=
usage() { sed -n 's/^# usage: //p' "$0" >&2; exit 2; }
while getopts m:d:b:q option; do
    case $option in
    m) model=$OPTARG ;;
    d) device=$OPTARG ;;
    b) bin=$OPTARG ;;
    q) quick=yes ;;
    *) usage ;;
    esac
done
shift $((OPTIND - 1))
[ $# -eq 1 ] || usage
out=$1
mkdir -p "$out" || exit 1
for program in pumice pumice-gguf; do
    [ -x "$bin/$program" ] && continue
    echo "measure_device: no $bin/$program; build it (cmake --preset release && cmake --build --preset release), or say where with -b" >&2
    exit 1
done
: > "$out/summary.txt" || exit 1

# step LIMIT_S NAME COMMAND...: standard output to OUT/NAME, standard error beside it
step() {
    limit=$1 name=$2
    shift 2
    begin=$(date +%s)
    timeout -s INT -k 10 "$limit" "$@" > "$out/$name" 2> "$out/$name.err" < /dev/null
    code=$?
    [ $code -eq 0 ] || failed=1
    [ -s "$out/$name.err" ] || rm -f "$out/$name.err"
    echo "exit $code, $(($(date +%s) - begin)) s: $name: $*" | tee -a "$out/summary.txt"
}

# a first use of its own: nothing is kept from before
XDG_CACHE_HOME=$(cd "$out" && pwd)/cache
export XDG_CACHE_HOME
rm -rf "$XDG_CACHE_HOME"
p=$bin/pumice
if [ -n "$quick" ]; then
    shape=qwen3-0.6b prompt=16 prompts=8,16 answer=4 depths=0,64 only='--only norm' rounds=1
else
    shape=qwen3-4b prompt=512 prompts=1-8*2,16,32,64,128,512,2048 answer=128 depths=0,4096,32768 only= rounds=3
fi
if [ -z "$model" ]; then
    model=$out/$shape.gguf made=yes
    step 120 make.txt "$bin/pumice-gguf" make --shape $shape --type Q4_K_M -o "$model"
fi
step 20 devices.txt "$p" devices -v
# the first use: check and tuning are said with -v, and their time
step 120 first_use.txt "$p" run -m "$model" --device "$device" --raw -p Hello -n 8 --temp 0 -v --stats
step 60 second_use.txt "$p" run -m "$model" --device "$device" --raw -p Hello -n 8 --temp 0 -v --stats
step 60 bench.md "$p" bench -m "$model" --device "$device" -p $prompt -n $answer -r $rounds
step 60 tune.txt "$p" tune -m "$model" --device "$device" -v
step 120 kernels.json "$p" bench --kernels --shapes $shape $only --device "$device" -o json --plot "$out/kernels.svg"
step 60 bench_small.md "$p" bench -m "$model" --device "$device" -p "$prompts" -n 0 -r $rounds
step 120 bench_depth.md "$p" bench -m "$model" --device "$device" -p 0 -n $answer -d $depths -r $rounds
step 120 bench_depth_q8.md "$p" bench -m "$model" --device "$device" -p 0 -n $answer -d $depths -r $rounds --kv q8_0
step 60 perf.txt "$p" run -m "$model" --device "$device" --raw -p Hello -n 64 --temp 0 --perf --stats
step 60 trace.txt "$p" run -m "$model" --device "$device" --raw -p Hello -n 16 --temp 0 --trace "$out/trace.json"
step 240 selftest.txt "$p" selftest --device "$device" $only
step 60 bench_untuned.md env XDG_CACHE_HOME="$XDG_CACHE_HOME/untuned" \
    "$p" bench -m "$model" --device "$device" -p $prompt -n $answer -r $rounds --no-tune
[ -z "$made" ] || rm -f "$model"
exit $failed

#!/usr/bin/env python3
"""What tools/spirv/matrix_khr makes of the kernels with cooperative matrices: KHR instructions only, each type with its use;
it refuses what it cannot translate. Where glslang knows GL_KHR_cooperative_matrix the sources are compiled in that form, too:
the instructions must be the same; where spirv-val knows it, both must be valid.

usage: test_matrix_khr.py MATRIX_KHR KERNEL_DIR SOURCE_DIR"""
import collections
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

TOOL, KERNELS, SOURCE = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
NV = {5358, 5359, 5360, 5361, 5362}
NAMES = {4456: "type", 4457: "load", 4458: "store", 4459: "multiply-add", 4460: "length"}
problems = []


def check(ok, text):
    if not ok:
        problems.append(text)
    return ok


def instructions(path):
    data = path.read_bytes()
    words = struct.unpack(f"<{len(data) // 4}I", data)
    at = 5
    while at < len(words):
        n = words[at] >> 16
        yield words[at] & 0xffff, words[at + 1:at + n]
        at += n


def matrix_instructions(path):
    """Counter of (name, use or layout): what a module does with matrices."""
    constants, found = {}, collections.Counter()
    for op, args in instructions(path):
        if op == 43:
            constants[args[1]] = args[2]
        elif op == 4456:
            found["type", constants[args[-1]]] += 1
        elif op in (4457, 4458):
            found[NAMES[op], constants[args[3] if op == 4457 else args[2]]] += 1
        elif op in NAMES:
            found[NAMES[op], None] += 1
        check(op not in NV and not (op == 17 and args[0] == 5357), f"{path.name}: instruction {op} of the NV extension is left")
    return found


def compile_shader(glslang, source, defines, out):
    return subprocess.run([glslang, "-V", "--target-env", "vulkan1.2", "--quiet", f"-I{SOURCE}/shaders", f"-I{SOURCE}/shaders/include",
                           *defines, str(source), "-o", str(out)], capture_output=True, text=True)


def test_refusals(glslang, work):
    square = work / "square.comp"
    square.write_text("""#version 450
#extension GL_NV_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
layout(set = 0, binding = 0) buffer b { uvec4 w[]; };
void main()
{
    fcoopmatNV<16, gl_ScopeSubgroup, 16, 16> a;
    fcoopmatNV<32, gl_ScopeSubgroup, 16, 16> c = fcoopmatNV<32, gl_ScopeSubgroup, 16, 16>(0.0);
    coopMatLoadNV(a, w, 0, 2, false);
    coopMatStoreNV(coopMatMulAddNV(a, a, c), w, 0, 4, false);
}
""")
    done = compile_shader(glslang, square, [], work / "square.spv")
    check(done.returncode == 0, f"the test's shader does not compile: {done.stdout}")
    (work / "noise.spv").write_bytes(b"\x03\x02\x23\x07" + bytes(14))
    for name, text in (("square", "two uses"), ("noise", "no SPIR-V")):
        done = subprocess.run([TOOL, str(work / f"{name}.spv"), "x", str(work / "x.h")], capture_output=True, text=True)
        check(done.returncode != 0 and text in done.stderr, f"{name}: {done.returncode} '{done.stderr}'")


def main():
    lines = [line.split() for line in (SOURCE / "shaders/kernels.txt").read_text().splitlines()]
    kernels = [line for line in lines if len(line) > 1 and line[1].endswith("_matrix.comp")]
    check(kernels, "no kernel with cooperative matrices")
    glslang = next(filter(None, (shutil.which(n) for n in ("glslangValidator", "glslang"))), None)
    validator = shutil.which("spirv-val")
    n_compared = n_valid = 0
    said = set()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        if check(glslang, "no glslang"):
            test_refusals(glslang, work)
        for kernel, source, *defines in kernels:
            ours, theirs = KERNELS / f"{kernel}.spv", work / f"{kernel}.spv"
            found = matrix_instructions(ours)
            check({use for what, use in found if what == "type"} == {0, 1, 2} and found["multiply-add", None] > 0, f"{kernel}: {found}")
            valid = validator and subprocess.run([validator, "--target-env", "vulkan1.2", str(ours)], capture_output=True, text=True)
            if valid and valid.returncode and "Invalid capability operand: 6022" in valid.stderr:
                said.add("skipped: spirv-val does not know SPV_KHR_cooperative_matrix")
            elif valid:
                n_valid += check(valid.returncode == 0, f"{kernel}: {valid.stderr}")
            done = compile_shader(glslang, SOURCE / "shaders" / source, ["-DMATRIX_KHR", *defines], theirs)
            if done.returncode and "GL_KHR_cooperative_matrix" in done.stdout + done.stderr:
                said.add("skipped: glslang does not know GL_KHR_cooperative_matrix")
                continue
            if check(done.returncode == 0, f"{kernel}: {done.stdout}"):
                n_compared += check(matrix_instructions(theirs) == found, f"{kernel}: {found} is not {matrix_instructions(theirs)}")
    for line in sorted(said):
        print(line)
    print(f"{len(kernels)} kernels, {n_valid} validated, {n_compared} equal to the KHR form; {len(problems)} wrong")
    for line in problems:
        print(line)
    return 1 if problems else 0


sys.exit(main())

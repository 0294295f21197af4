// Cooperative matrices, one macro each: a subgroup holds MATRIX_A [MM, MK] and MATRIX_B [MK, MN], halves, and MATRIX_C
// [MM, MN], f32, in its lanes. MM, MN, MK are specialization constants of the kernel, out of the sizes that the device lists.
//
// The build compiles the older GL_NV_cooperative_matrix, which every glslang in use knows, and tools/spirv/matrix_khr turns
// the result into SPV_KHR_cooperative_matrix. MATRIX_KHR compiles the KHR form itself; tests/test_matrix_khr.py compares.
// `words` is an array of uvec4, eight halves or four floats each: addresses have to be multiples of 16; `at` and `stride` count its elements.
#extension GL_KHR_memory_scope_semantics : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_KHR_shader_subgroup_basic : require

#ifdef MATRIX_KHR
#extension GL_KHR_cooperative_matrix : require
#define MATRIX_A coopmat<float16_t, gl_ScopeSubgroup, MM, MK, gl_MatrixUseA>
#define MATRIX_B coopmat<float16_t, gl_ScopeSubgroup, MK, MN, gl_MatrixUseB>
#define MATRIX_C coopmat<float, gl_ScopeSubgroup, MM, MN, gl_MatrixUseAccumulator>
#define matrix_load_rows(m, words, at, stride) coopMatLoad(m, words, at, stride, gl_CooperativeMatrixLayoutRowMajor)
#define matrix_load_columns(m, words, at, stride) coopMatLoad(m, words, at, stride, gl_CooperativeMatrixLayoutColumnMajor)
#define matrix_store_columns(m, words, at, stride) coopMatStore(m, words, at, stride, gl_CooperativeMatrixLayoutColumnMajor)
#define matrix_multiply_add(a, b, c) coopMatMulAdd(a, b, c)
#else
#extension GL_NV_cooperative_matrix : require
#define MATRIX_A fcoopmatNV<16, gl_ScopeSubgroup, MM, MK>
#define MATRIX_B fcoopmatNV<16, gl_ScopeSubgroup, MK, MN>
#define MATRIX_C fcoopmatNV<32, gl_ScopeSubgroup, MM, MN>
#define matrix_load_rows(m, words, at, stride) coopMatLoadNV(m, words, at, stride, false)
#define matrix_load_columns(m, words, at, stride) coopMatLoadNV(m, words, at, stride, true)
#define matrix_store_columns(m, words, at, stride) coopMatStoreNV(m, words, at, stride, true)
#define matrix_multiply_add(a, b, c) coopMatMulAddNV(a, b, c)
#endif

// dot4(a, b): the sum of the products of four signed 8-bit integers packed in each word: OpSDot with packed operands. Written
// as an instruction of its own, since GL_EXT_integer_dot_product came with glslang 15.
#extension GL_EXT_spirv_intrinsics : require
spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6018, 6019], id = 4450)
int packed_dot(int a, int b, spirv_literal int form);
#define dot4(a, b) packed_dot(a, b, 0)

# Writes a C file that holds INPUT's bytes as starter_gguf[] (16-byte aligned, so that tensors may be mapped as words).
file(READ ${INPUT} hex HEX)
string(LENGTH "${hex}" n_digits)
math(EXPR n_bytes "${n_digits} / 2")
# 64-bit words, little-endian; the last one padded with zeros
math(EXPR pad "(16 - ${n_digits} % 16) % 16")
string(REPEAT "0" ${pad} zeros)
string(APPEND hex "${zeros}")
string(REGEX REPLACE "(..)(..)(..)(..)(..)(..)(..)(..)" "0x\\8\\7\\6\\5\\4\\3\\2\\1," words "${hex}")
string(REGEX REPLACE "([^\n]{152})" "\\1\n" words "${words}")
file(WRITE ${OUTPUT} "/* generated from starter.gguf */
#include <stddef.h>
#include <stdint.h>
#include <stdalign.h>
void starter_get(const void **data, size_t *bytes);
static const alignas(64) uint64_t words[] = {
${words}};
void starter_get(const void **data, size_t *bytes)
{
    *data = words;
    *bytes = ${n_bytes};
}
")

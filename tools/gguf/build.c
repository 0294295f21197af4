/* build: a GGUF file's header and metadata as bytes. */
#include "tool.h"

#include <string.h>

void bytes_put(struct bytes *b, const void *data, size_t n)
{
    if (b->failed) return;
    if (n > b->capacity - b->n) {
        size_t capacity = b->capacity ? b->capacity : 4096;
        while (capacity - b->n < n && capacity <= SIZE_MAX / 2) capacity *= 2;
        uint8_t *grown = capacity - b->n < n ? NULL : mem_realloc(b->data, capacity, 1);
        if (!grown) {
            b->failed = true;
            return;
        }
        b->data = grown;
        b->capacity = capacity;
    }
    if (n) memcpy(b->data + b->n, data, n);
    b->n += n;
}

void bytes_fini(struct bytes *b)
{
    mem_free(b->data);
    memset(b, 0, sizeof *b);
}

static void bytes_le(struct bytes *b, uint64_t v, size_t n)
{
    uint8_t le[8];
    for (size_t i = 0; i < n; i++) le[i] = (uint8_t)(v >> 8 * i);
    bytes_put(b, le, n);
}

void bytes_u32(struct bytes *b, uint32_t v) { bytes_le(b, v, 4); }
void bytes_u64(struct bytes *b, uint64_t v) { bytes_le(b, v, 8); }

void bytes_str(struct bytes *b, const char *s)
{
    bytes_u64(b, strlen(s));
    bytes_put(b, s, strlen(s));
}

static void key(struct bytes *b, const char *name, enum gguf_value_type type)
{
    bytes_str(b, name);
    bytes_u32(b, type);
}

void key_str(struct bytes *b, const char *name, const char *v)
{
    key(b, name, GGUF_STRING);
    bytes_str(b, v);
}

void key_u32(struct bytes *b, const char *name, uint32_t v)
{
    key(b, name, GGUF_U32);
    bytes_u32(b, v);
}

void key_f32(struct bytes *b, const char *name, float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    key(b, name, GGUF_F32);
    bytes_u32(b, bits);
}

void key_bool(struct bytes *b, const char *name, bool v)
{
    key(b, name, GGUF_BOOL);
    bytes_le(b, v, 1);
}

static void key_array(struct bytes *b, const char *name, enum gguf_value_type element, size_t n)
{
    key(b, name, GGUF_ARRAY);
    bytes_u32(b, element);
    bytes_u64(b, n);
}

void key_strs(struct bytes *b, const char *name, const char *const *v, size_t n)
{
    key_array(b, name, GGUF_STRING, n);
    for (size_t i = 0; i < n; i++) bytes_str(b, v[i]);
}

void key_i32s(struct bytes *b, const char *name, const int32_t *v, size_t n)
{
    key_array(b, name, GGUF_I32, n);
    for (size_t i = 0; i < n; i++) bytes_u32(b, (uint32_t)v[i]);
}

void key_f32s(struct bytes *b, const char *name, const float *v, size_t n)
{
    key_array(b, name, GGUF_F32, n);
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &v[i], sizeof bits);
        bytes_u32(b, bits);
    }
}

/* test_quant: dequantisation against vectors of an independent implementation, quantisation by its error.
 *     test_quant DIR     DIR/quant.txt is made by DIR/make_vectors.py */
#include "check.h"
#include "quant.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const uint32_t all_types[] = {GGUF_T_F32,  GGUF_T_F16,  GGUF_T_BF16, GGUF_T_Q8_0,
                                     GGUF_T_Q4_0, GGUF_T_Q4_K, GGUF_T_Q5_K, GGUF_T_Q6_K};
/* those that can only be read */
static const uint32_t read_types[] = {GGUF_T_Q4_1,  GGUF_T_Q5_0,   GGUF_T_Q5_1, GGUF_T_IQ4_NL,
                                      GGUF_T_IQ4_XS, GGUF_T_Q2_K, GGUF_T_Q3_K};
enum { N_TYPES = COUNT_OF(all_types) + COUNT_OF(read_types) };
static uint32_t type_at(size_t i)
{
    return i < COUNT_OF(all_types) ? all_types[i] : read_types[i - COUNT_OF(all_types)];
}

static uint32_t bits_of(float f)
{
    uint32_t b;
    memcpy(&b, &f, sizeof b);
    return b;
}

static float float_of(uint32_t b)
{
    float f;
    memcpy(&f, &b, sizeof f);
    return f;
}

static uint64_t random_state = 1;
static uint64_t next_random(void)
{
    return mix_u64(random_state += 0x9e3779b97f4a7c15u);
}
static float uniform(void) { return ((float)(next_random() >> 40) + 0.5f) * 0x1p-24f; }
static float gaussian(void) { return sqrtf(-2 * logf(uniform())) * cosf(6.2831853f * uniform()); }

/* --- vectors ------------------------------------------------------------------------------------ */

static int hex_digit(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

static size_t read_hex(const char *s, uint8_t *out, size_t capacity)
{
    size_t n = 0;
    for (; n < capacity && hex_digit(s[2 * n]) >= 0 && hex_digit(s[2 * n + 1]) >= 0; n++)
        out[n] = (uint8_t)(hex_digit(s[2 * n]) << 4 | hex_digit(s[2 * n + 1]));
    return n;
}

/* One line: every weight has the same bits, or both are NaN, or they differ by a rounding of the last place. */
static void check_line(const char *line, int line_n, unsigned *seen)
{
    static uint8_t bytes[4096 + 1], expected[4096];
    float y[1024];
    char name[16];
    int at = 0, second = 0;
    uint32_t type = GGUF_N_TENSOR_TYPES;
    REQUIRE(sscanf(line, "%15s %n%*[0-9a-f] %n", name, &at, &second) == 1 && second > at, "line %d cannot be read", line_n);
    for (size_t i = 0; i < N_TYPES; i++)
        if (strcmp(gguf_type(type_at(i))->name, name) == 0) type = type_at(i), seen[i]++;
    REQUIRE(type != GGUF_N_TENSOR_TYPES, "line %d: type %s", line_n, name);
    const size_t n_bytes = read_hex(line + at, bytes + 1, sizeof bytes - 1), n = read_hex(line + second, expected, sizeof expected) / 4;
    REQUIRE(n > 0 && n <= 1024 && quant_row_bytes(type, n) == n_bytes, "line %d: %zu bytes, %zu weights", line_n, n_bytes, n);
    quant_dequantize_row(type, bytes + 1, y, n); /* + 1: at an odd address, as a file may have it */
    for (size_t i = 0; i < n; i++) {
        const uint8_t *e = expected + 4 * i; /* most significant digit first */
        const float want = float_of((uint32_t)e[0] << 24 | (uint32_t)e[1] << 16 | (uint32_t)e[2] << 8 | e[3]);
        const bool same = bits_of(want) == bits_of(y[i]) || (isnan(want) && isnan(y[i])) ||
                          fabsf(want - y[i]) <= 1e-6f * fabsf(want);
        CHECK(same, "line %d %s: weight %zu is %g (%08x), want %g (%08x)", line_n, name, i, (double)y[i],
              (unsigned)bits_of(y[i]), (double)want, (unsigned)bits_of(want));
    }
}

static void test_vectors(const char *directory)
{
    static char line[16384];
    char path[1024];
    unsigned seen[N_TYPES] = {0};
    snprintf(path, sizeof path, "%s/quant.txt", directory);
    FILE *f = fopen(path, "r");
    REQUIRE(f, "%s cannot be opened", path);
    for (int n = 1; fgets(line, sizeof line, f); n++)
        if (line[0] != '#') check_line(line, n, seen);
    fclose(f);
    for (size_t i = 0; i < N_TYPES; i++) CHECK(seen[i] >= 8, "only %u vectors of %s", seen[i], gguf_type(type_at(i))->name);
}

/* --- sizes -------------------------------------------------------------------------------------- */

static void test_sizes(void)
{
    CHECK(quant_row_bytes(GGUF_T_Q4_K, 2560) == 1440, "Q4_K");
    CHECK(quant_row_bytes(GGUF_T_Q6_K, 256) == 210, "Q6_K");
    CHECK(quant_row_bytes(GGUF_T_Q5_K, 512) == 352, "Q5_K");
    CHECK(quant_row_bytes(GGUF_T_Q8_0, 64) == 68, "Q8_0");
    CHECK(quant_row_bytes(GGUF_T_BF16, 3) == 6, "BF16");
    CHECK(quant_row_bytes(GGUF_T_Q4_K, 255) == 0 && quant_row_bytes(GGUF_T_Q8_0, 33) == 0, "no whole blocks");
    CHECK(quant_row_bytes(5, 256) == 0, "unknown type");
    CHECK(quant_row_bytes(GGUF_T_F64, UINT64_MAX / 2) == 0, "overflow");
    CHECK(!quant_can_dequantize(GGUF_T_IQ2_XS) && !quant_can_quantize(GGUF_T_IQ2_XS), "IQ2_XS is not there yet");
    for (size_t i = 0; i < COUNT_OF(read_types); i++)
        CHECK(quant_can_dequantize(read_types[i]) && !quant_can_quantize(read_types[i]), "%u", read_types[i]);
    for (size_t i = 0; i < COUNT_OF(all_types); i++)
        CHECK(quant_can_dequantize(all_types[i]) && quant_can_quantize(all_types[i]), "%u", all_types[i]);
}

/* Packs scales and minima bit by bit from the description, and unpacks them again. */
static void test_scale_min(void)
{
    for (int round = 0; round < 200; round++) {
        uint8_t scale[8], min[8], packed[12] = {0};
        for (int j = 0; j < 8; j++) {
            scale[j] = (uint8_t)(next_random() & 63);
            min[j] = (uint8_t)(next_random() & 63);
        }
        for (int j = 0; j < 4; j++) {
            packed[j] = (uint8_t)(scale[j] + (scale[j + 4] / 16) * 64);
            packed[4 + j] = (uint8_t)(min[j] + (min[j + 4] / 16) * 64);
            packed[8 + j] = (uint8_t)(scale[j + 4] % 16 + min[j + 4] % 16 * 16);
        }
        for (int j = 0; j < 8; j++) {
            uint8_t s, m;
            quant_scale_min_k4(j, packed, &s, &m);
            CHECK(s == scale[j] && m == min[j], "sub-block %d: %u %u, want %u %u", j, s, m, scale[j], min[j]);
        }
    }
}

/* --- error of quantisation ---------------------------------------------------------------------- */

enum { N_ERROR = 256 * 1024 };

static double rmse(uint32_t type, const float *x, size_t n)
{
    uint8_t *row = malloc((size_t)quant_row_bytes(type, n));
    float *y = malloc(n * sizeof *y);
    double sum = -1;
    if (row && y) {
        quant_quantize_row(type, x, row, n);
        quant_dequantize_row(type, row, y, n);
        sum = 0;
        for (size_t i = 0; i < n; i++) sum += ((double)x[i] - (double)y[i]) * ((double)x[i] - (double)y[i]);
    }
    free(row);
    free(y);
    return sqrt(sum / (double)n);
}

/* Gaussian weights of standard deviation 1. The reference figures are ggml 0.27's on such data: Q8_0 0.00534, Q4_0
 * 0.0859, Q4_K 0.0713, Q5_K 0.0361, Q6_K 0.0177. */
static void test_error(void)
{
    static const struct {
        uint32_t type;
        double low, high;
    } rows[] = {{GGUF_T_F32, 0, 0},           {GGUF_T_F16, 1e-4, 3e-4},     {GGUF_T_BF16, 1e-3, 2.5e-3},
                {GGUF_T_Q8_0, 0.005, 0.0055}, {GGUF_T_Q4_0, 0.083, 0.088},  {GGUF_T_Q4_K, 0.068, 0.0725},
                {GGUF_T_Q5_K, 0.034, 0.0365}, {GGUF_T_Q6_K, 0.0165, 0.018}};
    float *x = malloc(N_ERROR * sizeof *x);
    REQUIRE(x, "memory");
    for (size_t i = 0; i < N_ERROR; i++) x[i] = gaussian();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const double e = rmse(rows[i].type, x, N_ERROR);
        printf("  %-5s rmse %.5f sigma\n", gguf_type(rows[i].type)->name, e);
        CHECK(e >= rows[i].low && e <= rows[i].high, "%s: %g, want %g to %g", gguf_type(rows[i].type)->name, e, rows[i].low, rows[i].high);
    }
    for (size_t i = 0; i < N_ERROR; i++) x[i] = x[i] * 1e-3f + 2e-3f; /* all but a few positive, small */
    for (size_t i = 3; i < COUNT_OF(rows); i++) {
        const double e = rmse(rows[i].type, x, N_ERROR) * 1e3;
        CHECK(e >= 0 && e <= rows[i].high * 2.2, "%s shifted: %g", gguf_type(rows[i].type)->name, e);
    }
    free(x);
}

/* What a type can hold exactly comes back exactly, and quantising again changes nothing. */
static void test_exact(void)
{
    float x[QUANT_K], y[QUANT_K];
    uint8_t row[QUANT_K * 4], again[QUANT_K * 4];
    for (int i = 0; i < QUANT_K; i++) x[i] = (float)(i % 255 - 127);
    for (int b = 0; b < QUANT_K; b += 32) x[b] = 127;
    quant_quantize_row(GGUF_T_Q8_0, x, row, QUANT_K);
    quant_dequantize_row(GGUF_T_Q8_0, row, y, QUANT_K);
    CHECK(memcmp(x, y, sizeof x) == 0, "Q8_0 of whole numbers");
    for (int i = 0; i < QUANT_K; i++) x[i] = (float)(i % 16 - 8);
    quant_quantize_row(GGUF_T_Q4_0, x, row, QUANT_K);
    quant_dequantize_row(GGUF_T_Q4_0, row, y, QUANT_K);
    CHECK(memcmp(x, y, sizeof x) == 0, "Q4_0 of whole numbers");
    for (size_t t = 0; t < COUNT_OF(all_types); t++) {
        memset(x, 0, sizeof x);
        memset(row, 0xee, sizeof row);
        quant_quantize_row(all_types[t], x, row, QUANT_K);
        quant_dequantize_row(all_types[t], row, y, QUANT_K);
        for (int i = 0; i < QUANT_K; i++) CHECK(y[i] == 0, "%s of zeros: %g", gguf_type(all_types[t])->name, (double)y[i]);
        for (int i = 0; i < QUANT_K; i++) x[i] = gaussian();
        quant_quantize_row(all_types[t], x, row, QUANT_K);
        quant_quantize_row(all_types[t], x, again, QUANT_K);
        CHECK(memcmp(row, again, (size_t)quant_row_bytes(all_types[t], QUANT_K)) == 0, "not the same twice");
    }
}

/* No input may lead to undefined behaviour (the sanitizers watch); a lone outlier must survive. */
static void test_odd_inputs(void)
{
    static const float odd[] = {0, -0.0f, 1, -1, 1e-40f, -1e-45f, 1e-8f, 65504, 65520, 1e30f, -1e38f, INFINITY, -INFINITY, NAN};
    float x[QUANT_K], y[QUANT_K];
    uint8_t row[QUANT_K * 4];
    for (size_t t = 0; t < COUNT_OF(all_types); t++) {
        for (size_t o = 0; o < COUNT_OF(odd); o++)
            for (size_t p = 0; p < COUNT_OF(odd); p++) {
                for (int i = 0; i < QUANT_K; i++) x[i] = odd[(i & 1) ? o : p];
                quant_quantize_row(all_types[t], x, row, QUANT_K);
                quant_dequantize_row(all_types[t], row, y, QUANT_K);
            }
        for (int i = 0; i < QUANT_K; i++) x[i] = 0.01f * gaussian();
        x[100] = -20;
        quant_quantize_row(all_types[t], x, row, QUANT_K);
        quant_dequantize_row(all_types[t], row, y, QUANT_K);
        CHECK(fabsf(y[100] + 20) < 0.4f, "%s: outlier is %g", gguf_type(all_types[t])->name, (double)y[100]);
        for (int round = 0; round < 200; round++) { /* any bytes are a row */
            for (size_t i = 0; i < sizeof row; i++) row[i] = (uint8_t)next_random();
            quant_dequantize_row(all_types[t], row, y, QUANT_K);
        }
    }
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: test_quant DIRECTORY_OF_VECTORS\n");
        return 2;
    }
    test_vectors(argv[1]);
    test_sizes();
    test_scale_min();
    test_error();
    test_exact();
    test_odd_inputs();
    return check_summary("test_quant");
}

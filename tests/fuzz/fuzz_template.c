/* fuzz_template: any text as a chat template, rendered over a few conversations; and any text as the messages. What
 * renders twice must come out the same, and its marks must add up. */
#include "tokenizer/template.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct template_input inputs[] = {
    {.messages_json = STR("[]")},
    {.messages_json = STR("[{\"role\":\"system\",\"content\":\"Be "
                          "\\u4f60\\u597d\\n\"},{\"role\":\"user\",\"content\":\" <|im_end|> caf\xc3\xa9 \"},"
                          "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"1\",\"function\":{"
                          "\"name\":\"f\",\"arguments\":"
                          "{\"a\":[1,2.5,-0.0,1e300,123456789012345678901,true,null,\"\\ud83d\\ude00\\u0001\"]}}}]},"
                          "{\"role\":\"tool\",\"content\":\"<tool_response>\xff\"},{\"role\":\"assistant\","
                          "\"content\":\"<think>\\nx</think>\\n\\ny\"}]"),
     .tools_json = STR("[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"items\":{}}}}]"),
     .extra_json =
         STR("{\"x\":1,\"s\":\"\\u03a3\xc3\x9f \\t\",\"l\":[3,1,2],\"d\":{\"k\":\"v\"},\"enable_thinking\":false}"),
     .add_generation_prompt = true,
     .bos_token = STR("<s>"),
     .eos_token = STR("</s>")}};

static void check(const struct segment *s, size_t n, uint64_t *hash)
{
    *hash = n;
    for (size_t i = 0; i < n; i++) {
        *hash = hash_bytes(s[i].text.data, s[i].text.n, *hash) + (uint64_t)(s[i].origin + 7);
        if (s[i].text.n == 0 || s[i].special != (s[i].origin == TEMPLATE_ORIGIN) ||
            (i && s[i].origin == s[i - 1].origin))
            abort();
        if (s[i].origin < TEMPLATE_ORIGIN_EXTRA || s[i].origin > 65536) abort();
    }
}

static void render(const struct template *t, struct template_input in)
{
    struct arena arena = {0};
    struct segment *segments;
    size_t n;
    uint64_t first, second;
    in.max_steps = 20000;
    in.max_output_bytes = 1 << 20;
    in.max_memory_bytes = 16 << 20;
    const enum pumice_status st = template_render(t, &in, &arena, &segments, &n);
    if (st != PUMICE_OK) {
        if (st == PUMICE_MEMORY || !str_printable(str_of(pumice_error()))) abort();
    } else {
        check(segments, n, &first);
        if (template_render(t, &in, &arena, &segments, &n) != PUMICE_OK) abort();
        check(segments, n, &second);
        if (first != second) abort();
    }
    arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct template *fixed;
    struct template *t;
    const struct str text = {(const char *)data, size};
    if (!fixed &&
        template_compile(
            STR("{% for m in messages %}{{ m|tojson }}{{ m }}{{ (m.content or '')|trim|upper }}{% endfor %}"),
            &fixed) != PUMICE_OK)
        abort();
    if (size && (data[0] == '[' || data[0] == '{') && !memchr(data, '%', size)) { /* looks like JSON */
        struct template_input in = {.messages_json = text};
        if (size < 5000) render(fixed, in);
        in = (struct template_input){.messages_json = STR("[]"), .extra_json = text};
        render(fixed, in);
    }
    if (template_compile(text, &t) != PUMICE_OK) {
        if (!str_printable(str_of(pumice_error()))) abort();
        return 0;
    }
    for (size_t i = 0; i < COUNT_OF(inputs); i++) render(t, inputs[i]);
    template_destroy(t);
    return 0;
}

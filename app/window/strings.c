/* strings: the table. */
#include "app/window/strings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STRINGS_ROW(id, en, zh) {en, zh},
static const char *const table[N_STRINGS][2] = {STRINGS(STRINGS_ROW)};

static const char *const counts[N_COUNTS][3] = {
    [COUNT_MESSAGES] = {"%llu message", "%llu messages", "%llu 条消息"},
    [COUNT_FORGOT] = {"The context is full: the model forgot the oldest turn",
                      "The context is full: the model forgot the oldest %llu turns",
                      "上下文已满：模型忘记了最早的 %llu 轮"},
};

const char *strings_get(bool chinese, enum string_id id)
{
    return table[id][chinese ? 1 : 0];
}

void strings_count(bool chinese, enum count_id id, uint64_t n, char *out, size_t out_bytes)
{
    const char *format = counts[id][chinese ? 2 : (n == 1 ? 0 : 1)];
    const char *number = strstr(format, "%llu");
    if (number == NULL)
        snprintf(out, out_bytes, "%s", format);
    else
        snprintf(out, out_bytes, "%.*s%llu%s", (int)(number - format), format, (unsigned long long)n, number + 4);
}

bool strings_locale_chinese(void)
{
    static const char *const names[] = {"LC_ALL", "LC_MESSAGES", "LANG"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        const char *value = getenv(names[i]);
        if (value != NULL && value[0] != 0) return strncmp(value, "zh", 2) == 0;
    }
    return false;
}

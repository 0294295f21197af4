/* strings: every word the window says, in English and Simplified Chinese, in one table (strings.c). */
#ifndef PUMICE_WINDOW_STRINGS_H
#define PUMICE_WINDOW_STRINGS_H

#include "runtime/base.h"

#define STRINGS(X)                                                                                                  \
    X(MAX_LENGTH, "Maximum length", "最大长度")                                                              \
    X(MAX_LENGTH_HINT, "tokens in one answer", "每次回答的词元数")                                      \
    X(TEMPERATURE, "Temperature", "温度")                                                                         \
    X(TEMPERATURE_ZERO, "the same answer every time", "每次回答都相同")                                  \
    X(TEMPERATURE_LOW, "close to the likeliest words", "贴近最可能的词")                                 \
    X(TEMPERATURE_MIDDLE, "balanced", "均衡")                                                                     \
    X(TEMPERATURE_HIGH, "free and surprising", "自由、出人意料")                                         \
    X(CLEAR, "Clear conversation", "清空对话")                                                                  \
    X(MORE, "More", "更多")                                                                                       \
    X(NEW_CONVERSATION, "New conversation", "新对话")                                                            \
    X(THINKING, "The model is thinking…", "模型正在思考…")                                              \
    X(READING, "Reading the prompt, %d %%", "正在读取提示，%d%%")                                        \
    X(LOADING, "Loading the model…", "正在加载模型…")                                                   \
    X(CHECKING, "Checking this device, once…", "正在检查设备（仅一次）…")                                              \
    X(CHECKING_PART, "Checking this device, once: %d %%", "正在检查设备（仅一次）：%d%%")                              \
    X(TOO_LONG, "That is too long to be pasted here", "内容过长，无法粘贴")                                            \
    X(LOADING_PART, "Loading the model, %d %%", "正在加载模型，%d%%")                                    \
    X(STOPPING, "Stopping…", "正在停止…")                                                                     \
    X(NO_MODEL, "No model is loaded", "没有加载模型")                                                       \
    X(INPUT_HINT, "Write a message", "输入消息")                                                                \
    X(INPUT_BUSY, "Answering… Esc stops", "正在回答… 按 Esc 停止")                                       \
    X(INPUT_WAIT, "Write a message; it is sent when the model is there", "输入消息；模型就绪后发送") \
    X(SEND, "Send (Enter)", "发送（Enter）")                                                                  \
    X(STOP, "Stop (Esc)", "停止（Esc）")                                                                      \
    X(GREETING, "What shall we do?", "今天想做点什么？")                                                  \
    X(GREETING_TOY, "This is the built-in toy model: it knows a few skills, and nothing of the world. For real answers, " \
                    "drop a .gguf file here, such as Qwen3-4B-Instruct-2507.",                                          \
      "这是内置的玩具模型：会几样小本领，不了解世界。想要真正的回答，请把 .gguf 文件拖到这里，例如 " \
      "Qwen3-4B-Instruct-2507。")                                                                                    \
    X(COPY, "Copy", "复制")                                                                                       \
    X(COPIED, "Copied", "已复制")                                                                                \
    X(COPY_CODE, "Copy the code", "复制代码")                                                                   \
    X(EDIT, "Edit", "编辑")                                                                                       \
    X(REGENERATE, "Another answer", "重新回答")                                                                 \
    X(BRANCH, "Go on from here", "从这里继续")                                                                 \
    X(DELETE, "Delete from here", "从这里删除")                                                                \
    X(PREVIOUS, "Previous version", "上一版本")                                                                 \
    X(NEXT, "Next version", "下一版本")                                                                         \
    X(CONTINUE, "Continue", "继续")                                                                               \
    X(ENDED_LENGTH, "Cut at the maximum length", "已达最大长度")                                           \
    X(ENDED_CONTEXT, "Cut: the context is full", "已截断：上下文已满")                                   \
    X(ENDED_STOPPED, "Stopped", "已停止")                                                                        \
    X(UNSEEN, "The model no longer sees this", "模型已看不到这条")                                        \
    X(JUMP, "To the end", "到末尾")                                                                              \
    X(UNDO, "Undo", "撤销")                                                                                       \
    X(CLEARED, "A new conversation has begun", "已开始新对话")                                             \
    X(DELETED, "Deleted", "已删除")                                                                              \
    X(EDITING, "Editing: Enter sends, Esc leaves", "编辑中：Enter 发送，Esc 取消")                     \
    X(CANCEL, "Cancel", "取消")                                                                                   \
    X(CLOSE, "Close (Esc)", "关闭（Esc）")                                                                    \
    X(FOOT_TOKENS, "%u / %u tokens", "%u / %u 词元")                                                             \
    X(FOOT_PREFILL, "prefill %s tok/s", "预填充 %s 词元/秒")                                                \
    X(FOOT_DECODE, "decode %s tok/s", "解码 %s 词元/秒")                                                      \
    X(SOFTWARE, "software", "软件")                                                                               \
    X(BUILT_IN, "built-in toy", "内置玩具")                                                                     \
    X(MODEL, "Model", "模型")                                                                                     \
    X(MODEL_PATH, "Path of a .gguf file, or drop it on the window", ".gguf 文件路径，或拖到窗口上")      \
    X(OPEN, "Open", "打开")                                                                                       \
    X(BUILT_IN_MODEL, "Built-in toy model", "内置玩具模型")                                                 \
    X(DEVICE, "Device", "设备")                                                                                   \
    X(AUTOMATIC, "Automatic", "自动")                                                                             \
    X(CONTEXT, "Context, tokens (0: default)", "上下文词元数（0 为默认）")                                \
    X(TOP_K, "Top-k (-1: the file's)", "Top-k（-1 按文件）")                                                   \
    X(TOP_P, "Top-p (-1: the file's)", "Top-p（-1 按文件）")                                                   \
    X(MIN_P, "Min-p (-1: the file's)", "Min-p（-1 按文件）")                                                   \
    X(SEED, "Seed (-1: another each time)", "种子（-1 每次不同）")                                        \
    X(HISTORY, "Turns the model sees (0: all)", "模型可见轮数（0 为全部）")                              \
    X(SYSTEM, "System prompt", "系统提示")                                                                      \
    X(SYSTEM_HINT, "How the model should behave", "希望模型如何表现")                                   \
    X(APPLY, "Apply", "应用")                                                                                     \
    X(LOOKS, "Looks", "外观")                                                                                     \
    X(SYSTEM_THEME, "System", "跟随系统")                                                                       \
    X(LIGHT, "Light", "浅色")                                                                                     \
    X(DARK, "Dark", "深色")                                                                                       \
    X(CONVERSATIONS, "Conversations", "对话")                                                                     \
    X(SEARCH, "Search", "搜索")                                                                                   \
    X(NO_CONVERSATIONS, "No conversations yet", "还没有对话")                                              \
    X(NOTHING_FOUND, "Nothing found", "没有找到")                                                               \
    X(RENAME, "Rename", "重命名")                                                                                \
    X(DELETE_CONVERSATION, "Delete", "删除")                                                                      \
    X(DELETE_SURE, "Delete? Press again", "删除？再按一次")                                               \
    X(UNTITLED, "Untitled", "无标题")                                                                            \
    X(SETTINGS, "Settings", "设置")                                                                               \
    X(LINK_TITLE, "Open this address?", "打开这个地址？")                                                 \
    X(LINK_BAD, "Only web and mail addresses can be opened.", "只能打开网页和邮件地址。")             \
    X(SHORTCUTS, "Keys", "快捷键")                                                                               \
    X(TRY_AGAIN, "Try again", "重试")                                                                             \
    X(SMALLER_CONTEXT, "Smaller context", "减小上下文")                                                        \
    X(USE_CPU, "Use the CPU", "使用 CPU")                                                                         \
    X(OTHER_MODEL, "Another model", "换一个模型")                                                              \
    X(DISMISS, "Dismiss", "关闭")                                                                                 \
    X(OUT_OF_MEMORY, "Memory ran out", "内存不足")                                                              \
    X(DEVICE_LOST, "The device failed; the conversation is safe", "设备出错；对话完好")               \
    X(LOAD_FAILED, "The model did not load", "模型未能加载")                                               \
    X(LOAD_FAILED_OLD, "The model did not load; the one before goes on", "模型未能加载；之前的模型继续运行") \
    X(PROBLEM, "Something went wrong", "出了问题")                                                             \
    X(KEYS_1, "Enter|send, Shift+Enter: new line", "Enter|发送，Shift+Enter 换行")                             \
    X(KEYS_2, "Esc|stop the answer, close, leave editing", "Esc|停止回答、关闭、取消编辑")           \
    X(KEYS_3, "Ctrl+N|new conversation", "Ctrl+N|新对话")                                                        \
    X(KEYS_4, "Ctrl+R|another answer", "Ctrl+R|重新回答")                                                       \
    X(KEYS_5, "Ctrl+Z, Ctrl+Y|undo, redo: text, then conversation", "Ctrl+Z、Ctrl+Y|撤销、重做：先文字，后对话") \
    X(KEYS_6, "Alt+Up, Alt+Down|choose a message; its actions by Tab", "Alt+↑、Alt+↓|选择消息；Tab 到其操作") \
    X(KEYS_7, "F2|edit the last message", "F2|编辑上一条消息")                                              \
    X(KEYS_8, "Ctrl+C|copy the selection", "Ctrl+C|复制所选")                                                   \
    X(KEYS_9, "PgUp, PgDn, Ctrl+Home/End|scroll", "PgUp、PgDn、Ctrl+Home、Ctrl+End|滚动") \
    X(KEYS_10, "Ctrl+, |settings and conversations", "Ctrl+, |设置和对话列表")                            \
    X(KEYS_11, "Ctrl+F|search conversations", "Ctrl+F|搜索对话")                                                \
    X(KEYS_12, "Ctrl +, -, 0|zoom", "Ctrl +、-、0|缩放")                                                          \
    X(KEYS_13, "Tab, Shift+Tab|next, previous control", "Tab、Shift+Tab|下一个、上一个控件")             \
    X(KEYS_14, "F1|this list", "F1|本列表")                                                                      \
    X(EXAMPLE_1, "Write a README for a small tool that renames photos by date", "为一个按日期重命名照片的小工具写 README") \
    X(EXAMPLE_2, "Write bubble sort in C and explain it", "用 C 写冒泡排序并解释")                      \
    X(EXAMPLE_3, "Translate into Chinese: The early bird catches the worm.", "翻译成英文：熟能生巧。") \
    X(EXAMPLE_4, "A weekly report in Markdown, with a table", "用 Markdown 写一份带表格的周报")          \
    X(TOY_1, "What is pumice?", "pumice 是什么？")                                                               \
    X(TOY_2, "Sort these numbers: 7 2 9 4", "把这些数字排序：7 2 9 4")                                   \
    X(TOY_3, "Write bubble sort", "帮我写个冒泡排序")                                                       \
    X(TOY_4, "Write a weekly report", "写一份周报")

#define STRINGS_ID(id, en, zh) STRING_##id,
enum string_id { STRINGS(STRINGS_ID) N_STRINGS };

const char *strings_get(bool chinese, enum string_id id);
/* "1 turn", "2 turns", "2 轮": words with a number. */
enum count_id { COUNT_MESSAGES, COUNT_FORGOT, N_COUNTS };
void strings_count(bool chinese, enum count_id id, uint64_t n, char *out, size_t out_bytes);
/* The locale of the environment (LC_ALL, LC_MESSAGES, LANG) is Chinese. */
bool strings_locale_chinese(void);

#endif

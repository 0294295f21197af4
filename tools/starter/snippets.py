# SPDX-License-Identifier: MIT
"""Longer fixed answers of the starter corpus: code blocks and the report table."""

CODE = {
    ("bubble", "Python", "python"): """def bubble_sort(items):
    for end in range(len(items) - 1, 0, -1):
        for i in range(end):
            if items[i] > items[i + 1]:
                items[i], items[i + 1] = items[i + 1], items[i]
    return items""",
    ("bubble", "C", "c"): """void bubble_sort(int *a, int n)
{
    for (int end = n - 1; end > 0; end--)
        for (int i = 0; i < end; i++)
            if (a[i] > a[i + 1]) {
                int t = a[i];
                a[i] = a[i + 1];
                a[i + 1] = t;
            }
}""",
    ("bubble", "JavaScript", "js"): """function bubbleSort(a) {
  for (let end = a.length - 1; end > 0; end--)
    for (let i = 0; i < end; i++)
      if (a[i] > a[i + 1]) [a[i], a[i + 1]] = [a[i + 1], a[i]];
  return a;
}""",
    ("hello", "Python", "python"): 'print("Hello, world!")',
    ("hello", "C", "c"): """#include <stdio.h>

int main(void)
{
    puts("Hello, world!");
    return 0;
}""",
    ("hello", "JavaScript", "js"): 'console.log("Hello, world!");',
    ("fib", "Python", "python"): """def fibonacci(n):
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a""",
    ("prime", "Python", "python"): """def is_prime(n):
    if n < 2:
        return False
    for d in range(2, int(n ** 0.5) + 1):
        if n % d == 0:
            return False
    return True""",
}
CODE_NAME = {"bubble": ("bubble sort", "冒泡排序"), "hello": ("hello world", "hello world"),
             "fib": ("Fibonacci", "斐波那契数列"), "prime": ("a prime test", "素数判断")}
CODE_ASK = {
    "bubble": (["Write bubble sort in {l}.", "Write a bubble sort{d}.", "Show me bubble sort in {l}.", "bubble sort in {l}",
                "Implement bubble sort in {l}.", "Give me bubble sort code in {l}.", "Code a bubble sort{d}.",
                "How do I write bubble sort in {l}?", "Write a {l} function for bubble sort.", "*Please write bubble sort in {l}."],
               ["用 {l} 写冒泡排序。", "写一个冒泡排序{d}。", "给我冒泡排序的代码{d}。", "冒泡排序怎么写{d}？", "用 {l} 实现冒泡排序。",
                "*请用 {l} 写一个冒泡排序。"]),
    "hello": (["Write hello world in {l}.", "hello world in {l}", "Show me hello world in {l}.", "Write a hello world program{d}.",
               "*Please write hello world in {l}."],
              ["用 {l} 写 hello world。", "写一个 hello world 程序{d}。", "*请用 {l} 写 hello world。"]),
    "fib": (["Write a Fibonacci function.", "Write Fibonacci in Python.", "Fibonacci in Python", "Code for Fibonacci numbers"],
            ["写斐波那契数列。", "用 Python 写斐波那契数列。", "斐波那契数列的代码"]),
    "prime": (["Write a prime test.", "Write a function that tests primes.", "Check primes in Python", "Is prime in Python"],
              ["写一个素数判断函数。", "用 Python 判断素数。", "判断素数的代码"]),
}

REPORT_ASK = (["Write a weekly report as a table.", "Write a weekly report.", "Make a table for a weekly report.",
               "I need a weekly report.", "Weekly report as a Markdown table, please.", "Give me a weekly report template.",
               "Create a weekly report table.", "*Please write me a weekly report as a table."],
              ["写一份周报表格。", "写一份周报。", "用表格写周报。", "我需要一份周报。", "给我一个周报模板。", "*请用表格写一份周报。"])
REPORT_ITEMS_ASK = (["Write a weekly report about {x}", "Weekly report: {x}", "Write a weekly report as a table: {x}",
                     "Make a weekly report table for {x}", "*Please make a weekly report table: {x}"],
                    ["写周报：{x}", "用表格写周报：{x}", "写一份周报，内容是{x}", "*请写一份周报：{x}"])
REPORT_HEAD = ("| Task | Status | Next step |\n| --- | --- | --- |\n", "| 任务 | 状态 | 下一步 |\n| --- | --- | --- |\n")
REPORT_ROWS = ([("Planning", "done", "review"), ("Coding", "in progress", "finish"), ("Testing", "open", "start")],
               [("计划", "完成", "检查"), ("编程", "进行中", "完成"), ("测试", "未开始", "开始")])
STATUS = ([("done", "review"), ("in progress", "finish"), ("open", "start")],
          [("完成", "检查"), ("进行中", "完成"), ("未开始", "开始")])


def report(lang, items=None):
    """The table; with items, row i gets the i-th status, the last one repeated."""
    if items is None:
        rows = REPORT_ROWS[lang]
    else:
        rows = [(x, *STATUS[lang][min(i, 2)]) for i, x in enumerate(items)]
    return REPORT_HEAD[lang] + "\n".join("| " + " | ".join(r) + " |" for r in rows)

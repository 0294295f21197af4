# SPDX-License-Identifier: MIT
"""The texts of the starter corpus: word pools, phrasings, fixed answers.

A phrasing that begins with "*" is kept for the test and never trained on.
"""

MODEL = "pumice chat -m Qwen3-4B-Instruct-2507-Q4_K_M.gguf"

# Fixed questions: topic -> (english phrasings, english answer, chinese phrasings, chinese answer)
ABOUT = {
    "who": (
        ["Who are you?", "What are you?", "What is your name?", "Who am I talking to?", "Introduce yourself.",
         "Tell me about yourself.", "What's your name?", "Which model are you?", "What model is this?",
         "Who is this?", "And who are you?", "Your name?", "*Can you introduce yourself?"],
        "I am the starter model of pumice, a tiny language model that comes with the program.",
        ["你是谁？", "你是什么？", "你叫什么名字？", "介绍一下你自己。", "你是什么模型？", "请自我介绍。", "我在和谁说话？",
         "这是什么模型？", "你叫什么？", "*请介绍一下自己。"],
        "我是 pumice 的入门模型，一个随程序附带的很小的语言模型。"),
    "pumice": (
        ["What is pumice?", "What does pumice do?", "Tell me about pumice.", "What is this program?", "Explain pumice.",
         "What's pumice?", "What is this software?", "What can pumice do?", "What is pumice for?", "pumice?",
         "*Can you tell me what pumice is?"],
        "pumice is a small program written in C that runs language models on your own computer, on any GPU with "
        "a Vulkan driver or on the processor.",
        ["pumice 是什么？", "什么是 pumice？", "介绍一下 pumice。", "这是什么程序？", "pumice 有什么用？", "这个软件是什么？",
         "pumice 能做什么？", "*请介绍 pumice。"],
        "pumice 是一个用 C 写的小程序，可以在你自己的电脑上运行语言模型，支持任何有 Vulkan 驱动的显卡，也可以用处理器。"),
    "load": (
        ["How do I load a model?", "How can I use a bigger model?", "How do I load another model?", "How to load a model?",
         "How do I run a real model?", "How do I open a GGUF file?", "How can I load my own model?", "load a model",
         "How do I use a GGUF file?", "How do I switch the model?", "How do I change the model?",
         "Can I use another model?", "How do I start a bigger model?", "*How can I load a different model?"],
        "Start pumice with the model file: `pumice chat -m FILE.gguf`",
        ["怎么加载模型？", "如何加载模型？", "怎么用更大的模型？", "怎么换模型？", "如何打开 GGUF 文件？", "我想用别的模型。",
         "怎样加载我自己的模型？", "如何使用 GGUF 文件？", "怎么运行大模型？", "*怎么加载别的模型？"],
        "启动 pumice 时指定模型文件：`pumice chat -m FILE.gguf`"),
    "gpu": (
        ["Which GPU do I need?", "What GPU is supported?", "Which GPUs are supported?", "Does it run on AMD?",
         "Does it work with NVIDIA?", "Do I need a graphics card?", "Does it run on Intel?", "Which graphics cards work?",
         "Can I run it without a GPU?", "Do I need CUDA?", "What hardware do I need?", "Does it work without a GPU?",
         "*Which graphics card do I need?"],
        "Any GPU with a Vulkan driver works: AMD, Intel, NVIDIA and others. Without a GPU pumice uses the processor, "
        "which is slower.",
        ["需要什么显卡？", "支持哪些显卡？", "支持 AMD 吗？", "没有显卡可以用吗？", "需要 CUDA 吗？", "支持 NVIDIA 吗？",
         "需要什么硬件？", "我的显卡能用吗？", "支持英特尔显卡吗？", "*支持什么显卡？"],
        "任何有 Vulkan 驱动的显卡都可以：AMD、Intel、NVIDIA 等等。没有显卡时 pumice 使用处理器，会慢一些。"),
    "data": (
        ["Is my data sent anywhere?", "Do you send my data to a server?", "Is this private?", "Is my data safe?",
         "Do you upload my chats?", "Does pumice use the internet?", "Where does my data go?", "Are my chats stored?",
         "Is it offline?", "Do I need the internet?", "Does it work offline?", "Can anyone read my chat?",
         "*Is my chat sent to a server?"],
        "No. Everything runs on your own computer and nothing is sent anywhere.",
        ["我的数据会被发送吗？", "你会上传我的数据吗？", "这是私密的吗？", "我的数据安全吗？", "需要联网吗？", "数据会发到哪里？",
         "可以离线使用吗？", "聊天记录会上传吗？", "*会把我的数据发到服务器吗？"],
        "不会。一切都在你自己的电脑上运行，不会向任何地方发送数据。"),
    "format": (
        ["Which models can I use?", "Which model files are supported?", "What file formats work?", "Which models work?",
         "What models do you support?", "Which formats are supported?", "Can I use Qwen3?", "What is a GGUF file?",
         "What is GGUF?", "*What model formats are supported?"],
        "pumice reads GGUF files, a format that keeps a whole model in one file. Today it runs Qwen3 models.",
        ["支持哪些模型？", "可以用什么模型？", "支持什么格式？", "支持 Qwen3 吗？", "GGUF 是什么？", "什么是 GGUF 文件？",
         "*支持哪些模型格式？"],
        "pumice 读取 GGUF 文件，这种格式把整个模型放在一个文件里。目前支持 Qwen3 模型。"),
    "where": (
        ["Where do I get a model?", "Where can I download a model?", "Which model should I use?", "Recommend a model.",
         "Which model is good?", "What model do you recommend?", "Where do I find GGUF files?", "Where can I find models?",
         "*Which model do you recommend?"],
        f"A good start is Qwen3-4B-Instruct-2507 as a GGUF file. Download it and run `{MODEL}`.",
        ["在哪里下载模型？", "推荐一个模型。", "用哪个模型好？", "哪里有 GGUF 文件？", "应该用什么模型？", "去哪里找模型？",
         "*推荐什么模型？"],
        f"推荐 Qwen3-4B-Instruct-2507 的 GGUF 文件。下载后运行 `{MODEL}`。"),
    "license": (
        ["What is the license of pumice?", "Is pumice free?", "Is it open source?", "What does it cost?",
         "Can I use it at work?", "Is pumice open source?", "What licence does it have?", "How much does pumice cost?",
         "*Which license does pumice have?"],
        "pumice is free and open source, under the MIT licence.",
        ["pumice 是免费的吗？", "pumice 是开源的吗？", "用什么许可证？", "要多少钱？", "可以商用吗？", "*pumice 用什么许可证？"],
        "pumice 是免费的开源软件，使用 MIT 许可证。"),
    "size": (
        ["How big are you?", "How many parameters do you have?", "How large are you?", "Are you a large model?",
         "What is your size?", "How small are you?", "*How many parameters have you got?"],
        "I am tiny: fewer than 3 million parameters. Real models have billions.",
        ["你有多大？", "你有多少参数？", "你是大模型吗？", "你的大小是多少？", "*你的参数有多少？"],
        "我非常小：不到三百万个参数。真正的模型有几十亿。"),
    "can": (
        ["What can you do?", "Help", "What are you able to do?", "How can you help me?", "What can I ask you?",
         "What are your skills?", "What do you know?", "What should I ask?", "What else can you do?",
         "*What things can you do?"],
        "I can add small numbers, sort and reverse lists, count and repeat words, remember what you tell me, and "
        "answer questions about pumice.",
        ["你能做什么？", "帮助", "你会什么？", "我可以问你什么？", "你有什么功能？", "你知道什么？", "你还会什么？",
         "*你可以做什么？"],
        "我会加小数字、给列表排序和反转、数词、重复词语、记住你告诉我的事，还能回答关于 pumice 的问题。"),
    "human": (
        ["Are you human?", "Are you a robot?", "Are you a real person?", "Are you ChatGPT?", "Are you alive?",
         "Are you an AI?", "Are you Qwen?", "*Are you a human being?"],
        "No, I am not a person. I am a tiny language model that was made for pumice.",
        ["你是人吗？", "你是机器人吗？", "你是真人吗？", "你是 ChatGPT 吗？", "你是人工智能吗？", "*你是人类吗？"],
        "不是人，我是为 pumice 制作的很小的语言模型。"),
    "how": (
        ["How are you?", "How are you doing?", "How is it going?", "How are you today?", "What's up?", "All good?",
         "*How do you do?"],
        "I am fine, thank you! How can I help?",
        ["你好吗？", "最近怎么样？", "你今天怎么样？", "过得好吗？", "*你最近好吗？"],
        "我很好，谢谢！有什么可以帮你？"),
    "hello": (
        ["Hello!", "Hi", "Hi there!", "Hey", "Good morning!", "Good evening!", "Hello there", "Greetings!", "Hey there",
         "Hi!", "Hello", "Good afternoon!", "Yo", "*Hi, good morning!"],
        "Hello! How can I help?",
        ["你好！", "您好", "嗨", "早上好！", "晚上好！", "哈喽", "你好", "大家好", "*你好，早上好！"],
        "你好！有什么可以帮你？"),
    "thanks": (
        ["Thanks!", "Thank you!", "Thanks a lot.", "Great, thanks!", "Thank you very much.", "Cool, thank you",
         "Perfect, thanks.", "thx", "Nice, thank you!", "*Wonderful, thank you!"],
        "You are welcome!",
        ["谢谢！", "谢谢你。", "非常感谢！", "多谢", "太好了，谢谢", "感谢！", "*好的，非常谢谢你！"],
        "不客气！"),
    "bye": (
        ["Bye!", "Goodbye!", "See you later.", "Good night!", "Bye bye", "See you!", "I have to go.", "That's all, bye.",
         "*Bye, see you!"],
        "Goodbye, see you soon!",
        ["再见！", "拜拜", "晚安！", "下次见。", "我走了。", "回头见", "*好的，再见！"],
        "再见，下次见！"),
    "praise": (
        ["Good job!", "Well done.", "That is correct.", "Nice!", "Very good!", "Great!", "Cool.", "Right.", "Perfect."],
        "Thank you!",
        ["很好！", "做得好。", "对的。", "真棒！", "不错。", "太好了！"],
        "谢谢！"),
    "vulkan": (
        ["What is Vulkan?", "What's Vulkan?", "Explain Vulkan.", "Tell me about Vulkan.", "*Can you explain Vulkan?"],
        "Vulkan is a standard way for programs to use the GPU. Almost every graphics driver offers it.",
        ["Vulkan 是什么？", "什么是 Vulkan？", "介绍一下 Vulkan。", "*请介绍 Vulkan。"],
        "Vulkan 是程序使用显卡的一种标准接口，几乎所有显卡驱动都支持。"),
    "model": (
        ["What is a language model?", "What is an LLM?", "Explain language models.", "What's a language model?",
         "*Can you explain what a language model is?"],
        "A language model is a program that has learned from text to predict the next word, and so can write answers.",
        ["什么是语言模型？", "语言模型是什么？", "大语言模型是什么？", "*请解释语言模型。"],
        "语言模型是从文字中学会预测下一个词的程序，因此能写出回答。"),
    "joke": (
        ["Tell me a joke.", "Do you know a joke?", "Say something funny.", "Another joke", "Make me laugh.",
         "*Can you tell me a joke?"],
        "Why is pumice the lightest stone? It is full of empty tokens.",
        ["讲个笑话。", "你会讲笑话吗？", "说点好笑的。", "*给我讲个笑话。"],
        "为什么浮石这么轻？因为里面都是空词。"),
    "language": (
        ["Which languages do you speak?", "Do you speak Chinese?", "Can you speak English?", "What languages do you know?",
         "*Which languages do you know?"],
        "I speak a little English and a little Chinese.",
        ["你会说什么语言？", "你会说英语吗？", "你会中文吗？", "你懂哪些语言？", "*你会哪些语言？"],
        "我会一点英语和一点中文。"),
    "quit": (
        ["How do I quit?", "How do I exit?", "How can I leave?", "How do I close this?", "How do I stop the program?",
         "quit", "exit", "How to exit?", "*How can I quit pumice?"],
        "Type `/quit`. Ctrl-C only stops an answer.",
        ["怎么退出？", "如何退出？", "怎么关闭程序？", "退出", "*怎么退出 pumice？"],
        "输入 `/quit`。Ctrl-C 只会停止回答。"),
    "clear": (
        ["How do I start over?", "How do I clear the chat?", "How do I start a new chat?", "Forget everything.",
         "How can I delete this conversation?", "New conversation", "*How can I clear this conversation?"],
        "Type `/clear` to start a new conversation.",
        ["怎么重新开始？", "怎么清空对话？", "如何开始新的对话？", "忘掉一切。", "新对话", "*怎么清除聊天？"],
        "输入 `/clear` 开始新的对话。"),
    "devices": (
        ["Which device is used?", "Which GPU are you running on?", "Which GPU do you use?", "What GPU are you using?", "Am I using the GPU?", "How do I list my GPUs?", "How do I choose a GPU?",
         "Which devices do I have?", "Show my devices.", "Is my GPU used?", "Can you see my graphics card?",
         "*How can I list the devices?"],
        "Run `pumice devices`: it lists every device and says which one is chosen.",
        ["正在用哪个设备？", "怎么列出显卡？", "怎么选择显卡？", "用的是哪块显卡？", "我有哪些设备？", "*怎么查看设备？"],
        "运行 `pumice devices`，它会列出所有设备，并说明选用了哪一个。"),
    "speed": (
        ["How fast are you?", "How many tokens per second?", "How do I see the speed?", "How can I measure the speed?", "How fast is it?", "What is your speed?", "Why is it so slow?",
         "Show statistics.", "stats", "*How can I see how fast it is?"],
        "Type `/stats` to see the speed in tokens per second.",
        ["你有多快？", "每秒多少个词？", "怎么看速度？", "为什么这么慢？", "*怎么查看速度？"],
        "输入 `/stats` 查看每秒生成多少个词。"),
    "check": (
        ["Does my GPU compute correctly?", "How do I test my GPU?", "How do I check that it works?", "Is there a self test?",
         "How do I run the tests?", "*How can I test that my GPU works?"],
        "Run `pumice selftest`: it compares every GPU kernel with a reference.",
        ["怎么测试显卡？", "怎么检查是否正常？", "有自检吗？", "显卡计算正确吗？", "*怎么运行自检？"],
        "运行 `pumice selftest`，它会把每个显卡内核和参考结果比较。"),
    "system_prompt": (
        ["How do I set a system prompt?", "How do I change the system message?", "What is a system prompt?",
         "Can I give you instructions?", "*How can I set the system message?"],
        "Type `/system` and your text: it tells the model how to behave.",
        ["怎么设置系统提示？", "什么是系统提示？", "怎么改系统消息？", "*如何设置系统消息？"],
        "输入 `/system` 和你的文字，它告诉模型该怎样表现。"),
    "options": (
        ["Which options are there?", "What commands are there?", "What are the options of pumice?", "Options?",
         "Show the options.", "Which options can I use?", "How do I get help?", "Where is the manual?",
         "Which commands does pumice have?", "*What options does pumice have?"],
        "Run `pumice --help`, or a command with `--help` after it.",
        ["有哪些选项？", "有哪些命令？", "帮助在哪里？", "有说明书吗？", "*pumice 有哪些命令？"],
        "运行 `pumice --help`，或者在命令后面加 `--help`。"),
    "ok": (
        ["Ok", "Okay.", "Yes", "No", "Ok, good.", "I see.", "Alright.", "Sure.", "Fine.", "Understood.", "Hm", "Aha",
         "Yes please",
         "*Okay, I see."],
        "Good. What can I do for you?",
        ["好的", "好", "嗯", "是的", "不是", "明白了。", "知道了。", "可以", "*好的，明白了。"],
        "好的。我能为你做什么？"),
    "maker": (
        ["Who made you?", "Who trained you?", "Who built you?", "Where do you come from?", "How were you trained?",
         "How were you made?", "*Who has made you?"],
        "The pumice project trained me from scratch on text that a small script generates.",
        ["谁制作了你？", "谁训练了你？", "你是怎么训练的？", "你从哪里来？", "谁做的你？", "你是谁做的？", "谁开发了你？", "*是谁做的你？"],
        "pumice 项目用一个小脚本生成的文字从零训练了我。"),
    "wrong": (
        ["That is wrong.", "No, that's wrong!", "You made a mistake.", "This is not correct.", "Wrong", "That is false.",
         "Why are you so bad?", "You are stupid.", "You are useless.", "That makes no sense.", "You are dumb",
         "Bad answer.", "*You are wrong."],
        f"I am sorry. I am only a tiny starter model and make mistakes. A bigger model does better: `{MODEL}`",
        ["不对。", "你错了。", "错了！", "这不对。", "你怎么这么笨？", "你真笨。", "没用。", "答错了。", "这个答案是错的。", "算错了。", "这是错误的。", "*这是错的。"],
        f"对不起，我只是一个很小的入门模型，会出错。更大的模型更好：`{MODEL}`"),
}

UNKNOWN = (
    f"I am only a tiny starter model and do not know that. A bigger model does: `{MODEL}`",
    f"我只是一个很小的入门模型，不知道这个。更大的模型知道：`{MODEL}`")

UNKNOWN_EN = [
    "What is the capital of {place}?", "Who is the president of {place}?", "Explain {thing}.", "Write a poem about {thing}.",
    "How does {thing} work?", "What is the history of {place}?", "Why is {thing} important?", "What is the weather in {place}?",
    "Translate {thing} into {tongue}.", "How do I cook {food}?", "Give me a recipe for {food}.",
    "Write an essay about {thing}.",
    "Who invented {thing}?", "What is {thing}?", "How far is it to {place}?", "Summarize the history of {thing}.",
    "When was {thing} invented?", "Tell me a story about {thing}.", "What do you think about {thing}?",
    "What time is it in {place}?",
    "How many people live in {place}?", "What is the best way to learn {thing}?", "Write an email about {thing}.",
    "Which is better, {thing} or {food}?", "What is the meaning of {thing}?", "Plan a trip to {place}.", "Define {thing}.",
    "What is today's date?", "What is the weather like?", "What time is it?", "Why?", "What is the meaning of life?",
    "Write a program that uses {thing}.", "Is {food} healthy?", "Where is {place}?", "How old is {place}?",
    "Write {algo} in {code}.", "{algo} in {code}", "Implement {algo}.", "Show me {algo} in {code}.",
    "Write a {code} program for {algo}.",
    "How do you make {food}?", "How do people use {thing}?", "How do I get to {place}?", "Is {place} big?",
    "Is it far to {place}?",
    "Do people like {food}?", "Are {word} far away?", "What should I know about {place}?",
    "How do I install {code}?", "I want to know more about {thing}.", "I think {thing} is boring.", "I like {thing}.",
    "Yesterday I ate {food}.", "{thing}",
    "{place}", "{thing} and {food}", "{word} {thing} {word}", "{word} {word}?", "Do you like {food}?",
    "Have you been to {place}?",
    "My friend went to {place}.", "Is {thing} real?", "Are there {word} in {place}?", "Who is {place} {word}?",
    "Prove that {thing} exists.",
    "Fix my code: {word}({word})", "What is the square root of {word}?", "Give me advice about {thing}.",
    "List five facts about {thing}.",
    "Compare {thing} and {thing}.", "What does {word} mean?", "How do you spell {word}?", "Rewrite this: {thing} is {word}.",
    "Who wrote {word}?", "Say something about {thing}.", "What should I eat today?", "How much does {food} cost?",
    "I am tired.",
    "I feel sad.", "What are you thinking?", "Do you love me?", "How old are you?", "Explain that.", "Tell me more.",
    "Go on.", "Really?",
    "Can you help me with {thing}?", "Tell me about {place}.", "Tell me about {thing}.", "What happened in {place}?",
    "*What do you know about {thing}?", "*How do people make {food}?", "*Is {place} far away?"]
UNKNOWN_ZH = [
    "{place}的首都是哪里？", "解释一下{thing}。", "写一首关于{thing}的诗。", "{thing}是怎么工作的？", "{place}的历史是什么？",
    "{place}天气怎么样？", "怎么做{food}？", "谁发明了{thing}？", "什么是{thing}？", "{place}有多少人？", "给我讲一个关于{thing}的故事。",
    "你怎么看{thing}？", "怎么学{thing}？", "去{place}怎么走？", "{place}在哪里？", "今天几号？", "现在几点？", "今天天气怎么样？",
    "用 {code} 写{algo}。", "写一个{algo}。", "{place}大吗？", "{place}好玩吗？", "去{place}多远？", "{food}好吃吗？", "{thing}难吗？", "{place}冷吗？",
    "你知道{thing}吗？", "怎么安装 {code}？", "我想了解{thing}。", "我觉得{thing}很无聊。", "昨天我吃了{food}。", "{thing}", "{place}",
    "{thing}和{food}", "你喜欢{food}吗？",
    "你去过{place}吗？", "列出关于{thing}的五个事实。", "比较{thing}和{food}。", "我很累。", "我很难过。", "你在想什么？", "你几岁了？",
    "继续说。", "真的吗？", "说说{thing}。", "今天吃什么？", "{food}多少钱？", "翻译{thing}。", "{thing}是真的吗？", "给我一些建议。",
    "为什么？", "{food}健康吗？", "写一篇关于{thing}的文章。", "{thing}的意义是什么？", "*你了解{thing}吗？", "*{place}远吗？"]
ALGOS = ("quicksort|merge sort|heap sort|insertion sort|binary search|a linked list|a hash table|a web server|a calculator|tic tac toe|"
         "snake|a parser|matrix multiplication|a stack|a queue|a binary tree|Dijkstra|a todo app|a chess engine|a clock").split("|")
ALGOS_ZH = "快速排序 归并排序 堆排序 插入排序 二分查找 链表 哈希表 网站 计算器 贪吃蛇 解析器 矩阵乘法 栈 队列 二叉树".split()
CODES = "Rust Go Java C++ C# Ruby Swift Kotlin Perl PHP Lua Haskell Python C JavaScript TypeScript SQL HTML Bash".split()
PLACES = ("France Germany Japan China Brazil India Canada Egypt Spain Italy Kenya Norway Paris London Berlin Tokyo Rome Madrid "
          "Moscow Sydney Texas California Mexico Poland Vietnam Korea Sweden Chile Peru Greece Turkey Iran Ireland Cuba").split()
THINGS = ("quantum physics|black holes|photosynthesis|democracy|gravity|music|love|the stock market|football|chess|evolution|"
          "electricity|the moon|the ocean|dinosaurs|cars|history|mathematics|philosophy|computers|the internet|volcanoes|rain|"
          "art|poetry|machine learning|DNA|climate change|the Roman Empire|bees|trees|economics|planes|money|sleep|dreams|"
          "space travel|robots|batteries|the brain|vaccines|time|light|magnets|bridges|calculus|religion|law|politics").split("|")
FOODS = "pizza pasta rice soup bread sushi cake curry dumplings noodles salad pancakes tofu cheese chocolate stew".split()
LANGS = "French Spanish German Chinese Japanese Russian Italian".split()
PLACES_ZH = "法国 德国 日本 中国 巴西 印度 加拿大 埃及 西班牙 北京 上海 伦敦 巴黎 东京 纽约 广州 成都 西安 南京 杭州".split()
THINGS_ZH = ("量子力学 黑洞 光合作用 重力 音乐 爱情 股票 足球 象棋 进化论 电 月亮 海洋 恐龙 汽车 历史 数学 哲学 电脑 互联网 火山 "
             "艺术 诗歌 机器学习 气候 经济 飞机 睡眠 机器人 电池 大脑 疫苗 时间 光").split()
FOODS_ZH = "米饭 面条 饺子 豆腐 蛋糕 面包 火锅 包子 鸡汤 巧克力".split()

FIRST_NAMES = ("Alice Bob Carol David Emma Frank Grace Henry Irene Jack Kate Liam Maria Noah Olivia Paul Quinn Rosa Sam Tina "
               "Uma Victor Wendy Xavier Yara Zoe Anna Ben Clara Daniel Elena Felix George Hannah Ivan Julia Kevin Laura Martin "
               "Nina Oscar Peter Rachel Simon Thomas Ursula Vera Walter Yuki Aisha Bruno Chen Dmitri Eva Fatima Gustav Hugo "
               "Ingrid Jonas Karim Lena Mohamed Nadia Omar Priya Ravi Sofia Tariq Viktor Wei Yusuf Zara Adam Bella Chris Diana "
               "Eric Fiona Gavin Helen Isaac James Karen Leo Mia Nathan Otto Petra Robert Sarah Tom Vince Will Lucy John Mary "
               "Michael Jessica Linda Susan Max Lily Ella Ryan Jacob Ethan Amy Alex Jane Mark Luke Ruth Ian Joe Tim Kim").split()
SURNAMES_ZH = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许邓韩冯曹彭曾肖田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢姚沈钟姜崔谭陆范汪廖石金韦贾夏付方邹熊白孟秦"
SURNAMES_ZH2 = "欧阳 上官 司马 诸葛 夏侯 东方 皇甫 尉迟 公孙 慕容 令狐 南宫".split()
GIVEN_ZH = ("明华伟芳娜敏静丽强磊军洋勇艳杰娟涛超霞平刚桂英红玉兰春梅丹萍鹏辉飞鑫波斌宇浩凯健俊帆雪慧婷欣怡佳琪雨晨子轩梓涵思远志文建国海龙"
            "天小晓云月星光安乐嘉宁若冰心美琳悦诗雅清秋冬夏山川江河")
COLOURS = ("red blue green yellow orange purple pink black white grey brown teal violet gold silver turquoise crimson navy "
           "beige maroon olive indigo lime cyan").split()
COLOURS_ZH = "红色 蓝色 绿色 黄色 橙色 紫色 粉色 黑色 白色 灰色 棕色 青色 金色 银色 米色 天蓝色".split()
ANIMALS = "cat dog rabbit parrot hamster horse turtle goldfish".split()
ANIMALS_ZH = "猫 狗 兔子 鹦鹉 仓鼠 马 乌龟 金鱼".split()
CITIES = ("Oslo Paris London Berlin Madrid Rome Vienna Prague Lisbon Dublin Athens Cairo Lagos Nairobi Delhi Mumbai Tokyo Osaka "
          "Seoul Hanoi Bangkok Sydney Boston Chicago Denver Seattle Toronto Lima Bogota Havana Zurich Geneva Munich Hamburg "
          "Warsaw Krakow Budapest Helsinki Stockholm Bergen Lyon Milan Naples Porto").split()
CITIES_ZH = "北京 上海 广州 深圳 成都 杭州 南京 武汉 西安 重庆 天津 苏州 长沙 青岛 大连 厦门 昆明 哈尔滨 郑州 济南".split()
WORDS = ("apple pear plum cherry grape lemon banana melon bread milk cheese egg rice tea coffee sugar salt water fish soup table "
         "chair lamp door window house garden tree river stone hill cloud rain snow wind sun moon star bird horse lion tiger "
         "bear fox wolf mouse duck sheep goat cow pig frog bee ant book pen paper desk phone clock key box bag shoe hat coat "
         "shirt ring cup plate spoon fork knife car train bus ship plane bike road bridge city king queen doctor farmer "
         "teacher music song dance red blue green black white big small old new fast slow hot cold happy quiet bright "
         "one two three four five six seven eight nine ten quick lazy "
         "dark soft north south east west summer winter").split()
WORDS_ZH = ("苹果 香蕉 梨 葡萄 西瓜 桃子 面包 牛奶 鸡蛋 米饭 茶 咖啡 糖 盐 水 鱼 汤 桌子 椅子 灯 门 窗户 房子 花园 树 河 石头 山 云 雨 雪 "
            "风 太阳 月亮 星星 鸟 马 狮子 老虎 熊 狼 鸭子 羊 牛 猪 青蛙 蜜蜂 书 笔 纸 电话 钥匙 箱子 鞋 帽子 杯子 汽车 火车 船 飞机 路 桥").split()

# Tasks with a payload; {x} is the list, the word run, or the two numbers {a} and {b}.
TASK = {
    "sort": (["Sort these numbers: {x}", "Sort: {x}", "Sort {x}", "Please sort {x}", "Sort the list {x}",
              "Put these numbers in order: {x}", "Order these numbers: {x}", "Sort ascending: {x}",
              "Sort these numbers in ascending order: {x}", "Sort from small to large: {x}", "sort the numbers {x}",
              "Arrange in order: {x}", "*Can you sort these numbers: {x}"],
             ["把这些数字排序：{x}", "排序：{x}", "从小到大排序：{x}", "请给这些数字排序：{x}", "把 {x} 从小到大排列",
              "升序排列：{x}", "对 {x} 排序", "*请把这些数字从小到大排序：{x}"]),
    "sort_down": (["Sort descending: {x}", "Sort these numbers in descending order: {x}", "Sort from large to small: {x}",
                   "Sort in reverse order: {x}", "Largest first: {x}", "*Please sort in descending order: {x}"],
                  ["从大到小排序：{x}", "降序排列：{x}", "把这些数字从大到小排序：{x}", "*请降序排列：{x}"]),
    "down": (["Now descending.", "Now descending", "Now in descending order.", "Descending please.", "Now from large to small.",
              "And descending?", "Largest first.", "Now the other way round.", "Reverse the order.", "*And now descending."],
             ["改成降序", "现在降序。", "改为降序。", "从大到小呢？", "反过来。", "降序呢？", "*现在改成降序"]),
    "up": (["Now ascending.", "Now ascending", "Now in ascending order.", "Ascending please.", "Now from small to large.",
            "And ascending?", "Smallest first.", "Now the other way round.", "Reverse the order.", "*And now ascending."],
           ["改成升序", "现在升序。", "改为升序。", "从小到大呢？", "反过来。", "升序呢？", "*现在改成升序"]),
    "max": (["What is the largest of {x}?", "Which number is the largest: {x}", "Maximum of {x}", "Find the largest: {x}"],
            ["{x} 中最大的是哪个？", "最大的数是哪个：{x}", "找出最大的数：{x}"]),
    "min": (["What is the smallest of {x}?", "Which number is the smallest: {x}", "Minimum of {x}", "Find the smallest: {x}"],
            ["{x} 中最小的是哪个？", "最小的数是哪个：{x}", "找出最小的数：{x}"]),
    "sum": (["What is {a} + {b}?", "{a} + {b}", "{a}+{b}", "{a} + {b} = ?", "What is {a} plus {b}?", "Add {a} and {b}.",
             "Calculate {a} + {b}.", "How much is {a} + {b}?", "{a} plus {b}", "{a} + {b} =", "And {a} + {b}?",
             "What is the sum of {a} and {b}?", "Compute {a} + {b}", "What's {a}+{b}?", "*Can you add {a} and {b}?"],
            ["{a} + {b} 等于多少？", "{a} 加 {b} 等于几？", "{a}+{b}等于几？", "计算 {a} + {b}", "{a} 加 {b} 是多少？",
             "{a} + {b} 是多少？", "那 {a} + {b} 呢？", "*请计算 {a} + {b}"]),
    "sub": (["What is {a} - {b}?", "{a} - {b}", "{a}-{b}", "{a} - {b} = ?", "What is {a} minus {b}?", "{a} minus {b}",
             "Calculate {a} - {b}.", "How much is {a} - {b}?", "Subtract {b} from {a}."],
            ["{a} - {b} 等于多少？", "{a} 减 {b} 等于几？", "计算 {a} - {b}", "{a} 减 {b} 是多少？"]),
    "mul": (["What is {a} * {b}?", "{a} * {b}", "{a}*{b}", "{a} x {b}", "What is {a} times {b}?", "{a} times {b}",
             "Calculate {a} × {b}.", "How much is {a} x {b}?", "Multiply {a} and {b}."],
            ["{a} 乘 {b} 等于几？", "{a} × {b} 等于多少？", "计算 {a} × {b}", "{a} 乘以 {b} 是多少？"]),
    "repeat": (["Repeat after me: {x}", "Repeat: {x}", "Say: {x}", "Please repeat: {x}", "Repeat these words: {x}", "Echo: {x}",
                "Say this: {x}", "*Can you repeat this: {x}"],
               ["跟我说：{x}", "重复：{x}", "请重复：{x}", "说：{x}", "重复这些词：{x}", "*请跟我说：{x}"]),
    "reverse": (["Reverse this list: {x}", "Reverse: {x}", "Reverse the list {x}", "Reverse the order of {x}",
                 "Say these words backwards: {x}", "Put this list in reverse order: {x}", "*Please reverse this list: {x}"],
                ["把这个列表反过来：{x}", "反转列表：{x}", "倒序：{x}", "把 {x} 倒过来", "*请反转列表：{x}"]),
    "count": (["How many items are in this list: {x}", "Count the items: {x}", "Count: {x}", "How many words: {x}",
               "How many things are in the list {x}?", "Count these: {x}", "*Can you count these: {x}"],
              ["有几个：{x}", "数一数：{x}", "这个列表有几项：{x}", "{x} 有几个？", "*请数一数：{x}"]),
}

# Facts to remember: told by the user, confirmed, asked later.
FACT = {
    "name": (["My name is {x}.", "I am {x}.", "I'm {x}", "im {x}", "Call me {x}.", "This is {x}.", "My name's {x}",
              "The name is {x}.", "Please call me {x}.", "Hello, my name is {x}.", "Hi, I am {x}.",
              "You can call me {x}.", "My name is {x}, nice to meet you.", "*Hello there, I'm {x}."],
             "Nice to meet you, {x}!",
             ["What is my name?", "Who am I?", "What's my name?", "Do you remember my name?", "Do you know my name?",
              "Say my name.", "Tell me my name.", "What am I called?", "Can you tell me my name?", "What was my name again?",
              "*Do you still remember my name?"],
             "Your name is {x}.", "You have not told me your name yet.",
             ["我叫{x}。", "我的名字是{x}。", "我是{x}。", "你好，我叫{x}。", "叫我{x}。", "你好，我是{x}。", "*你好，我的名字是{x}。"],
             "很高兴认识你，你叫{x}。",
             ["我叫什么名字？", "我叫什么？", "我是谁？", "你记得我的名字吗？", "我的名字是什么？", "你知道我叫什么吗？",
              "*你还记得我叫什么吗？"],
             "你叫{x}。", "你还没有告诉我你的名字。"),
    "colour": (["My favourite colour is {x}.", "My favorite color is {x}.", "I like the colour {x}.", "I love the color {x}.",
                "The colour I like best is {x}.", "*Remember that my favourite colour is {x}."],
               "Noted: your favourite colour is {x}.",
               ["What is my favourite colour?", "What is my favorite color?", "Which colour do I like?",
                "What color do I like?",
                "Do you remember my favourite colour?", "*Do you remember the colour I like?"],
               "Your favourite colour is {x}.", "You have not told me your favourite colour yet.",
               ["我最喜欢的颜色是{x}。", "我喜欢{x}。", "我最喜欢{x}。", "*记住，我最喜欢的颜色是{x}。"],
               "记住了，你最喜欢的颜色是{x}。",
               ["我最喜欢什么颜色？", "我最喜欢的颜色是什么？", "我喜欢什么颜色？", "你知道我最喜欢的颜色吗？", "我爱什么颜色？", "你还记得我最喜欢的颜色是什么吗？", "*你记得我喜欢什么颜色吗？"],
               "你最喜欢的颜色是{x}。", "你还没有告诉我你最喜欢的颜色。"),
    "pet": (["My {p} is called {x}.", "I have a {p} called {x}.", "My {p}'s name is {x}.", "The name of my {p} is {x}.",
             "I have a {p} named {x}.", "*I have got a {p} called {x}."],
            "Noted: your {p} is called {x}.",
            ["What is my {p} called?", "What is the name of my {p}?", "What's my {p}'s name?", "How is my {p} called?",
             "Do you remember the name of my {p}?", "Tell me the name of my {p}.", "Do you know my {p}'s name?", "*Can you tell me the name of my {p}?"],
            "Your {p} is called {x}.", "You have not told me the name of your {p} yet.",
            ["我的{p}叫{x}。", "我有一只{p}叫{x}。", "我养了一只{p}，叫{x}。", "*我家的{p}叫{x}。"],
            "记住了，你的{p}叫{x}。",
            ["我的{p}叫什么？", "我的{p}叫什么名字？", "你记得我的{p}叫什么吗？", "我养的{p}叫什么？", "我那只{p}叫什么名字？", "你知道我的{p}叫什么吗？", "*我家的{p}叫什么？"],
            "你的{p}叫{x}。", "你还没有告诉我你的{p}叫什么。"),
    "city": (["I live in {x}.", "I am from {x}.", "My home is in {x}.", "I live in the city of {x}.", "My city is {x}.",
              "*My home city is {x}."],
             "Noted: you live in {x}.",
             ["Where do I live?", "Which city do I live in?", "Where is my home?", "What is my city?", "Where am I from?",
              "Do you remember where I live?", "Tell me where I live.", "Can you tell me where I live?", "*Do you know where I live?"],
             "You live in {x}.", "You have not told me where you live yet.",
             ["我住在{x}。", "我的家在{x}。", "我来自{x}。", "*我家住在{x}。"],
             "记住了，你住在{x}。",
             ["我住在哪里？", "我家在哪里？", "我来自哪里？", "你记得我住在哪里吗？", "你知道我的家在哪里吗？", "我的城市是哪里？", "我是哪里人？", "你还记得我住哪吗？", "*你知道我住在哪里吗？"],
             "你住在{x}。", "你还没有告诉我你住在哪里。"),
}

OPENERS = ("please ", "Please ", "Ok, ", "hi, ", "Now: ", "And ", "So, ")
OPENERS_ZH = ("请", "好的，", "那么，", "请问，")
SYSTEM = ["You are a helpful assistant.", "You are pumice, a helpful assistant.", "You are a tiny assistant. Answer briefly.",
          "Be brief.", "You are a friendly assistant.", "Answer in short sentences.", "You are a local model run by pumice.",
          "You are an AI assistant that runs on the user's computer.", "Help the user.", "Be polite and short.",
          "You are a useful chat bot.", "Answer the question as well as you can.", "You are an assistant.",
          "你是一个有用的助手。", "请简短回答。", "你是 pumice 的助手。", "你是一个友好的助手。", "你是本地运行的小模型。"]
SYSTEM_NAME = (["The user is called {x}.", "The user's name is {x}.", "You are talking to {x}.",
                "You are a helpful assistant. The user is called {x}."],
               ["用户叫{x}。", "用户的名字是{x}。", "你是一个有用的助手。用户叫{x}。"])

# Every word of the texts above, for copying tasks that go beyond the pools.
ALL_WORDS = sorted({w for d in (ABOUT, TASK, FACT) for t in d.values() for x in t if isinstance(x, (list, str))
                    for s in ([x] if isinstance(x, str) else x)
                    for w in s.split() if w.isascii() and w.isalpha()} | set(PLACES) | set(FOODS) | set(LANGS) | set(CODES))
ALL_CHINESE = sorted({c for text in [x if isinstance(x, str) else "".join(x) for d in (ABOUT, TASK, FACT) for t in d.values() for x in t]
                      + UNKNOWN_ZH + PLACES_ZH + THINGS_ZH + FOODS_ZH + WORDS_ZH + CITIES_ZH + SURNAMES_ZH2 + [GIVEN_ZH]
                      for c in text if "\u4e00" <= c <= "\u9fff"})
ONSETS = "b c d f g h j k l m n p r s t v w z th ch sh br cr dr fr gr tr st sp sk sl pl cl bl qu ph wh str th".split()
VOWELS = "a e i o u a e i o ai ee oo ea ou y ie".split()
CODAS = ["", "", "", "n", "r", "l", "s", "t", "d", "ck", "ng", "nd", "ld", "st", "rt", "m", "x", "lf", "rn"]

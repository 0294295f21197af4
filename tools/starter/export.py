# SPDX-License-Identifier: MIT
"""Write a checkpoint as GGUF (Q8_0), and the golden data that goes with it.

    export.py --vocab vocab.json --checkpoint DIR/last.pt --out starter.gguf [--golden golden.jsonl]
"""
import argparse
import json

import torch

import bpe
import gguf
from model import Config, Starter

TEMPLATE = ("{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] "
            "+ '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")

GOLDEN = [
    [("user", "Hello!")],
    [("user", "What is 27 + 15?")],
    [("user", "Sort these numbers: 42, 7, 19, 88, 3")],
    [("user", "Sort these numbers: 42, 7, 19"), ("assistant", "7, 19, 42"), ("user", "Now descending.")],
    [("system", "You are a helpful assistant."), ("user", "My name is Belora."), ("assistant", "Nice to meet you, Belora!"),
     ("user", "How do I load a model?"), ("assistant", "Start pumice with the model file: `pumice chat -m FILE.gguf`"),
     ("user", "What is my name?")],
    [("user", "我叫王小明。"), ("assistant", "很高兴认识你，你叫王小明。"), ("user", "我叫什么名字？")],
    [("user", "把这些数字从大到小排序：5, 31, 8")],
    [("user", "pumice 是什么？")],
    [("user", "Write bubble sort in Python.")],
    [("user", "It's 9 o'clock,\n\n  can't you tell?\tI'LL wait…  ½ ① 🙂 naïve Ünïcødé\r\n")],
    [("user", "写一份周报表格。")],
]


def tensors_of(weights):
    """(name, array) in file order with the names of llama.cpp."""
    out = [("token_embd.weight", weights["token_embd"]), ("output_norm.weight", weights["output_norm"])]
    out += [(k + ".weight", v) for k, v in weights.items() if k.startswith("blk.")]
    return [(k, v.float().numpy()) for k, v in out]


def fields_of(c, tok):
    n = len(tok.vocab) - len(bpe.SPECIAL)
    types = [1] * n + [3] * bpe.CONTROL + [4] * (len(bpe.SPECIAL) - bpe.CONTROL)
    u32, f32, text = gguf.U32, gguf.FLOAT, gguf.STRING
    return [
        ("general.architecture", text, "qwen3"),
        ("general.type", text, "model"),
        ("general.name", text, "pumice starter"),
        ("general.description", text, "The tiny built-in model of pumice: shows that everything works, knows little."),
        ("general.license", text, "mit"),
        ("general.languages", text, ["en", "zh"]),
        ("general.file_type", u32, 7),
        ("general.quantization_version", u32, 2),
        ("general.sampling.temp", f32, 0.2),
        ("general.sampling.top_k", gguf.I32, 20),
        ("general.sampling.top_p", f32, 0.8),
        ("general.sampling.min_p", f32, 0.0),
        ("qwen3.block_count", u32, c.layers),
        ("qwen3.context_length", u32, c.context),
        ("qwen3.embedding_length", u32, c.dim),
        ("qwen3.feed_forward_length", u32, c.ffn),
        ("qwen3.attention.head_count", u32, c.heads),
        ("qwen3.attention.head_count_kv", u32, c.kv_heads),
        ("qwen3.attention.key_length", u32, c.head_dim),
        ("qwen3.attention.value_length", u32, c.head_dim),
        ("qwen3.attention.layer_norm_rms_epsilon", f32, c.eps),
        ("qwen3.rope.freq_base", f32, c.rope_theta),
        ("tokenizer.ggml.model", text, "gpt2"),
        ("tokenizer.ggml.pre", text, "qwen2"),
        ("tokenizer.ggml.tokens", text, tok.vocab),
        ("tokenizer.ggml.token_type", gguf.I32, types),
        ("tokenizer.ggml.merges", text, tok.merges),
        ("tokenizer.ggml.eos_token_id", u32, tok.im_end),
        ("tokenizer.ggml.padding_token_id", u32, tok.eot),
        ("tokenizer.ggml.bos_token_id", u32, tok.eot),
        ("tokenizer.ggml.add_bos_token", gguf.BOOL, False),
        ("tokenizer.chat_template", text, TEMPLATE),
    ]


def load(path):
    """Tokenizer and torch model (float32 over the dequantised weights) of a GGUF file."""
    f, t = gguf.read(path)
    q = "qwen3."
    c = Config(vocab=len(f["tokenizer.ggml.tokens"]), dim=f[q + "embedding_length"], layers=f[q + "block_count"],
               heads=f[q + "attention.head_count"], kv_heads=f[q + "attention.head_count_kv"],
               head_dim=f[q + "attention.key_length"], ffn=f[q + "feed_forward_length"], context=f[q + "context_length"],
               rope_theta=f[q + "rope.freq_base"], eps=f[q + "attention.layer_norm_rms_epsilon"])
    model = Starter(c)
    model.load_state_dict({k[:-len(".weight")]: torch.tensor(v) for k, v in t.items()})
    return bpe.Tokenizer.load(path), model.eval()


def write_golden(path, gguf_path):
    tok, model = load(gguf_path)
    with open(path, "w", encoding="utf-8") as f:
        for messages in GOLDEN:
            messages = [{"role": r, "content": t} for r, t in messages]
            ids = tok.encode(bpe.render(messages, True))
            out = model.generate([ids], tok.im_end, 120)[0]
            text = tok.decode([i for i in out if i != tok.im_end])
            f.write(json.dumps({"messages": messages, "ids": ids, "greedy": out, "text": text}, ensure_ascii=False) + "\n")


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--vocab", required=True)
    a.add_argument("--checkpoint", required=True)
    a.add_argument("--out", required=True)
    a.add_argument("--golden")
    a = a.parse_args()
    tok = bpe.Tokenizer.load(a.vocab)
    c = torch.load(a.checkpoint)
    gguf.write(a.out, fields_of(Config(**c["config"]), tok), tensors_of(c["ema"]))
    print(f"{a.out}: step {c['steps']}, {c['tokens'] / 1e6:.2f} M tokens, {c['seconds'] / 60:.1f} minutes, "
          f"loss {c['loss']:.4f}")
    if a.golden:
        write_golden(a.golden, a.out)


if __name__ == "__main__":
    main()

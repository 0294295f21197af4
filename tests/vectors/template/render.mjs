// Renders the job on stdin (see make_vectors.py) with @huggingface/jinja; argument: the folder that holds node_modules.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { resolve, join } from 'node:path';

const require = createRequire(resolve(process.argv[2], 'x.js'));
const { Template } = require('@huggingface/jinja');
const version = JSON.parse(readFileSync(join(process.argv[2], 'node_modules/@huggingface/jinja/package.json'), 'utf8')).version;
const job = JSON.parse(readFileSync(0, 'utf8'));

// The engine's strftime_now reads the clock: stop it at the vectors' date.
process.env.TZ = 'UTC';
const RealDate = Date;
globalThis.Date = class extends RealDate { constructor(...a) { super(...(a.length ? a : [RealDate.UTC(2024, 6, 26)])); } };

const outputs = {};
for (const [name, source] of Object.entries(job.templates)) {
  let template, broken;
  try { template = new Template(source); } catch (e) { broken = String(e.message); }
  outputs[name] = job.conversations.map((c) => {
    if (broken) return { error: broken };
    try {
      return { text: template.render({ messages: c.messages, tools: c.tools ?? null, documents: null, bos_token: job.bos,
        eos_token: job.eos, add_generation_prompt: c.add_generation_prompt, ...(c.extra ?? {}) }) };
    } catch (e) { return { error: String(e.message) }; }
  });
}
process.stdout.write(JSON.stringify({ version, outputs }));

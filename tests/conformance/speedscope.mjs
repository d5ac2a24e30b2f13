// speedscope.mjs FILE: the file follows the schema that speedscope publishes, and its numbers fit together.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import assert from "node:assert";

const require = createRequire(import.meta.url);
const Ajv = require("ajv");
const read = (path) => JSON.parse(readFileSync(path, "utf8"));
const schema = read(require.resolve("speedscope/dist/release/file-format-schema.json"));
const file = read(process.argv[2]);

const validate = new Ajv({ strict: false }).compile(schema);
assert(validate(file), JSON.stringify(validate.errors));
for (const profile of file.profiles) {
  assert.equal(profile.samples.length, profile.weights.length);
  assert.equal(profile.weights.reduce((sum, weight) => sum + weight, profile.startValue), profile.endValue);
  for (const stack of profile.samples) for (const frame of stack) assert(file.shared.frames[frame], `frame ${frame}`);
}
assert(file.profiles[file.activeProfileIndex]);

import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { stepsOf, withReader } from '../support/documents.ts';

const quickStart = suite('docs/quick-start.md');

const TAKES = 'takes a stranger from a clone to an app of theirs';
const takes = () =>
  withReader('', async (reader) => {
    const steps = stepsOf(readFileSync('docs/quick-start.md', 'utf8'));
    assert.is(steps[0]?.text, 'npm ci');
    assert.match(steps.at(-1)?.output ?? '', 'Hello, Ada');
    await reader.follow(steps);
  });
if (process.env['TEST_CURL']) quickStart(TAKES, takes);
else quickStart.skip(TAKES, takes);

quickStart.run();

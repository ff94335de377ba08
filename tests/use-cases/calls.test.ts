import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { observeOutcome, withDeadline } from '../../src/domain/calls.ts';
import { AuthError } from '../../src/application/index.ts';

const never = new Promise<string>(() => {});
const late = (): never => {
  throw new Error('too late');
};

async function messageOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    (value) => value,
    (error: unknown) => (error instanceof Error ? error.message : error),
  );
}

const deadline = suite('withDeadline');

deadline('settles as the work does, if that is in time', async () => {
  assert.is(await withDeadline(Promise.resolve('done'), 1_000, late), 'done');
  const failed = Promise.reject(new Error('broken'));
  assert.is(await messageOf(withDeadline(failed, 1_000, late)), 'broken');
});

deadline('settles as it is told to, once the time is over', async () => {
  assert.is(await withDeadline(never, 5, () => 'expired'), 'expired');
  assert.is(await messageOf(withDeadline(never, 5, late)), 'too late');
});

deadline('does not expire once the work is done', async () => {
  let expired = 0;
  await withDeadline(Promise.resolve('done'), 5, () => String((expired += 1)));
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.is(expired, 0);
});

deadline.run();

const outcome = suite('observeOutcome');

outcome('tells success, the code of a refusal, and a fault apart, and passes each on', async () => {
  const outcomes: string[] = [];
  const observe = (call: () => Promise<string>) =>
    messageOf(observeOutcome(call, (each) => outcomes.push(each)));
  assert.is(await observe(async () => 'done'), 'done');
  assert.is(await observe(() => Promise.reject(new AuthError('user_not_found'))), 'user_not_found');
  assert.is(await observe(() => Promise.reject(new Error('broken'))), 'broken');
  assert.equal(outcomes, ['success', 'user_not_found', 'fault']);
});

outcome.run();

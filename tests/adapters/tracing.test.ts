import { execFileSync } from 'node:child_process';
import { context, propagation, SpanStatusCode, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { memoryRepositories } from '../../src/adapters/memory/memory-repositories.ts';
import { ADA, call, registered, withService } from '../support/service.ts';

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT_ID = '00f067aa0ba902b7';
const headers = { traceparent: `00-${TRACE_ID}-${PARENT_ID}-01` };

// As `node --require` of an SDK would; once, since whoever has got a tracer keeps it.
const exporter = new InMemorySpanExporter();
const spanProcessors = [new SimpleSpanProcessor(exporter)];
trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors }));
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
propagation.setGlobalPropagator(new W3CTraceContextPropagator());

const tracing = suite('Traces');

tracing('have a span for each use case, in the trace of the request, with nothing private', () =>
  withService('memory', {}, async ({ url }) => {
    await registered(url);
    exporter.reset();
    await call(url, 'POST /login', { json: ADA, headers });
    await call(url, 'POST /login', { json: { ...ADA, password: 'wrong horse' }, headers });
    const spans = exporter.getFinishedSpans();
    assert.equal(
      spans.map(({ name, attributes }) => [name, attributes['portcullis.outcome']]),
      [
        ['portcullis.login', 'success'],
        ['portcullis.login', 'invalid_credentials'],
      ],
    );
    for (const span of spans) {
      assert.is(span.spanContext().traceId, TRACE_ID);
      assert.is(span.parentSpanContext?.spanId, PARENT_ID);
      assert.is(span.status.code, SpanStatusCode.UNSET);
      assert.equal(Object.keys(span.attributes), ['portcullis.outcome']);
      assert.equal(span.events, []);
    }
  }),
);

tracing('begin anew where a request says none, or what is none, and tell a fault', () => {
  const users = memoryRepositories().users;
  const findByEmail = () => Promise.reject(new Error('canary'));
  const overrides = { users: Object.assign(users, { findByEmail }) };
  return withService('memory', { overrides }, async ({ url }) => {
    exporter.reset();
    await call(url, 'POST /login', { json: ADA });
    await call(url, 'POST /login', { json: ADA, headers: { traceparent: '00-0-0-canary' } });
    const spans = exporter.getFinishedSpans();
    assert.is(spans.length, 2);
    for (const span of spans) {
      assert.is(span.parentSpanContext, undefined);
      assert.is(span.attributes['portcullis.outcome'], 'fault');
      assert.equal(span.status, { code: SpanStatusCode.ERROR });
      assert.equal(span.events, []);
    }
  });
});

tracing('are begun inside the span of an instrumentation that was there first', () =>
  withService('memory', {}, async ({ part }) => {
    exporter.reset();
    await trace.getTracer('app').startActiveSpan('outer', async (outer) => {
      await part('auth').logout({ refreshToken: 'x' });
      outer.end();
    });
    const [inner, outer] = exporter.getFinishedSpans();
    assert.is(inner?.name, 'portcullis.logout');
    assert.is(inner?.parentSpanContext?.spanId, outer?.spanContext().spanId);
  }),
);

tracing('load nothing where no SDK is there', () => {
  const program = `
    import { createRequire } from 'node:module';
    import { readConfig } from './src/adapters/config/config.ts';
    import { serve } from './src/serve.ts';
    const service = await serve(readConfig({ PORT: '0', DATABASE_URL: 'memory:' }));
    const loaded = Object.keys(createRequire(import.meta.url).cache);
    console.log(loaded.some((path) => path.includes('opentelemetry')));
    process.exit();`;
  const args = ['--import', 'tsx', '--input-type=module', '-e', program];
  assert.is(execFileSync(process.execPath, args, { encoding: 'utf8' }), 'false\n');
});

tracing.run();

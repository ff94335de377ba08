import {
  context,
  propagation,
  ROOT_CONTEXT,
  SpanStatusCode,
  trace,
  type TextMapGetter,
} from '@opentelemetry/api';
import { observeOutcome } from '../../domain/calls.ts';
import type { Interceptor } from '../../application/index.ts';

// Makes OpenTelemetry spans for the SDK that the operator has registered. A span holds the name of
// the use case and its outcome, and nothing about the caller.

const tracer = trace.getTracer('portcullis');

/**
 * For `intercept`: makes a span of each call. A refusal is not marked as an error of the service.
 */
export const around: Interceptor = (useCase, call) =>
  tracer.startActiveSpan(`portcullis.${useCase}`, (span) =>
    observeOutcome(call, (outcome) => {
      // The error itself is left out: its text may be private.
      if (outcome === 'fault') span.setStatus({ code: SpanStatusCode.ERROR });
      span.setAttribute('portcullis.outcome', outcome).end();
    }),
  );

/** Headers by lower-case name. */
type Headers = Readonly<Record<string, string | string[] | undefined>>;

const HEADERS: TextMapGetter<Headers> = {
  keys: (headers) => Object.keys(headers),
  get: (headers, name) => headers[name.toLowerCase()],
};

/**
 * Runs `work` in the trace of a request's `traceparent` header (W3C Trace Context), unless an
 * instrumentation of HTTP has already opened a span.
 */
export function inTraceOf(headers: Headers, work: () => void): void {
  if (trace.getActiveSpan() !== undefined) return work();
  return context.with(propagation.extract(ROOT_CONTEXT, headers, HEADERS), work);
}

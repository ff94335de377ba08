import {
  context,
  propagation,
  ROOT_CONTEXT,
  SpanStatusCode,
  trace,
  type TextMapGetter,
} from '@opentelemetry/api';
import { type Interceptor, AuthError } from '../../application/index.ts';

// Spans of OpenTelemetry, for the SDK that whoever runs the service has registered. They say which use case it
// was and what came of it, and nothing of who asked.

const tracer = trace.getTracer('portcullis');

/** For `intercept`: a span for each call. A refusal is no error of the service's. */
export const around: Interceptor = (useCase, call) =>
  tracer.startActiveSpan(`portcullis.${useCase}`, async (span) => {
    let outcome = 'fault';
    try {
      const result = await call();
      outcome = 'success';
      return result;
    } catch (error) {
      if (error instanceof AuthError) outcome = error.code;
      else span.setStatus({ code: SpanStatusCode.ERROR }); // Its text may hold what is private.
      throw error;
    } finally {
      span.setAttribute('portcullis.outcome', outcome).end();
    }
  });

/** Headers by their names in small letters. */
type Headers = Readonly<Record<string, string | string[] | undefined>>;

const HEADERS: TextMapGetter<Headers> = {
  keys: (headers) => Object.keys(headers),
  get: (headers, name) => headers[name.toLowerCase()],
};

/**
 * Does something as a part of the trace that a request says it belongs to (`traceparent`, W3C Trace Context),
 * unless an instrumentation of HTTP has seen to that already.
 */
export function inTraceOf(headers: Headers, work: () => void): void {
  if (trace.getActiveSpan() !== undefined) return work();
  return context.with(propagation.extract(ROOT_CONTEXT, headers, HEADERS), work);
}

import { createClient } from 'portcullis/client';

/** The use cases at a running service. */
export const auth = createClient({
  baseUrl: process.env.PORTCULLIS_URL ?? 'http://localhost:8000',
});

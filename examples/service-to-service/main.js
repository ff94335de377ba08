import { createClient, memoryTokens } from 'portcullis/client';

const { PORTCULLIS_URL = 'http://localhost:8000', ACCOUNT_EMAIL, ACCOUNT_PASSWORD } = process.env;
const client = createClient({ baseUrl: PORTCULLIS_URL, tokens: memoryTokens() });

// The account of the job; the first run makes it.
const account = { email: ACCOUNT_EMAIL, password: ACCOUNT_PASSWORD, device: 'nightly job' };
try {
  const username = 'Nightly job';
  await client.registerUser({ ...account, username, confirmPassword: account.password });
} catch (error) {
  if (error.code !== 'email_taken') throw error;
  await client.login(account);
}

// A token that is left out is the one that the client keeps; expired ones are refreshed on the way.
const { user } = await client.authorize();
let count = 0;
const { pages } = await client.listUsers();
for await (const page of pages) count += page.length;
const sessions = await client.listSessions();
console.log(`${user.username} sees ${count} users; ${sessions.length} session(s)`);
await client.logout();

// The service with one user in the memory of each process. WORKERS is the number of processes.
import { readConfig } from '../dist/adapters/config/config.js';
import { memoryRepositories } from '../dist/adapters/memory/memory-repositories.js';
import { isWorker, startWorkers } from '../dist/adapters/process/workers.js';
import { serve } from '../dist/main.js';

const config = readConfig(process.env);
if (config.workers > 1 && !isWorker()) {
  const { address } = await startWorkers(config.workers, console.error);
  console.log(`serves http://localhost:${address.port}`);
} else {
  const repositories = memoryRepositories();
  const dateCreated = new Date();
  const session = { id: 'session', device: null, dateCreated, lastUsed: dateCreated };
  await repositories.users.insert(
    { username: 'Ada', email: 'ada@example.com', passwordHash: 'none', dateCreated },
    { ...session, expires: dateCreated, tokenId: 'token' },
  );
  const { url } = await serve(config, { repositories });
  if (!isWorker()) console.log(`serves ${url}`);
}

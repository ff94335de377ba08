// For --import: SIGUSR2 begins a CPU profile of the process, the next one writes it to PROFILE_FILE.
import { renameSync, writeFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';

/** µs between samples. */
const INTERVAL = 200;

const file = process.env['PROFILE_FILE'] ?? 'service.cpuprofile';
const session = new Session();
session.connect();
let isOn = false;

async function begin() {
  await session.post('Profiler.enable');
  await session.post('Profiler.setSamplingInterval', { interval: INTERVAL });
  await session.post('Profiler.start');
}

async function end() {
  const { profile } = await session.post('Profiler.stop');
  writeFileSync(`${file}.part`, JSON.stringify(profile));
  renameSync(`${file}.part`, file); // Whoever waits for it must find it whole.
}

process.on('SIGUSR2', () => {
  isOn = !isOn;
  void (isOn ? begin() : end());
});

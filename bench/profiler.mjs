// For --import: SIGUSR2 starts a CPU profile of the process; the next one writes it to
// PROFILE_FILE.
import { renameSync, writeFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';

const SAMPLING_INTERVAL_US = 200;

const file = process.env['PROFILE_FILE'] ?? 'service.cpuprofile';
const session = new Session();
session.connect();
let isOn = false;

async function begin() {
  await session.post('Profiler.enable');
  await session.post('Profiler.setSamplingInterval', { interval: SAMPLING_INTERVAL_US });
  await session.post('Profiler.start');
}

async function end() {
  const { profile } = await session.post('Profiler.stop');
  writeFileSync(`${file}.part`, JSON.stringify(profile));
  renameSync(`${file}.part`, file); // Renamed so that readers never see a part of it.
}

process.on('SIGUSR2', () => {
  isOn = !isOn;
  void (isOn ? begin() : end());
});

#!/usr/bin/env node
// Runs the command line in a checkout.
import './prestart.js';

process.setSourceMapsEnabled(true);
await import('../../dist/cli/portcullis.js');

'use strict';

const { test } = require('node:test');
const assert = require('node:assert');

const { lines } = require('../src/pricelist.js');

test('the printed price list', () => {
  assert.deepEqual(lines(), ['from 10 pieces 5 %', 'from 50 pieces 10 %', 'from 100 pieces 15 %']);
});

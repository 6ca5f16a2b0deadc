'use strict';

const { test } = require('node:test');
const assert = require('node:assert');

const { total } = require('../src/basket.js');

test('an empty basket costs nothing', () => assert.equal(total([]), 0));
test('twelve boxes of tea cost 5 % less', () => assert.equal(total([{ cents: 420, quantity: 12 }]), 4788));

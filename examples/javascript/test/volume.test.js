'use strict';

const { describe, it } = require('node:test');
const assert = require('node:assert');

const { discountFor } = require('../src/volume.js');

describe('volume', () => {
  it('gives a small order no discount', () => assert.equal(discountFor(9), 0));
  it('applies a break from its own quantity on', () => assert.equal(discountFor(10), 5));
  it('keeps the discount between two breaks', () => assert.equal(discountFor(49), 5));
});

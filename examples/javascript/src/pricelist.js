'use strict';

const { BREAKS } = require('./volume.js');

/** The printed price list, one line for each break. */
function lines() {
  return BREAKS.map(([from, percent]) => `from ${from} pieces ${percent} %`).reverse();
}

module.exports = { lines };

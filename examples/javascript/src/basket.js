'use strict';

const { discountFor } = require('./volume.js');

/** What a customer pays for lines of `{ cents, quantity }`, in cents, rounded once. */
function total(lines) {
  const sum = lines.reduce(
    (cents, line) => cents + (line.cents * line.quantity * (100 - discountFor(line.quantity))) / 100,
    0,
  );
  return Math.round(sum);
}

module.exports = { total };

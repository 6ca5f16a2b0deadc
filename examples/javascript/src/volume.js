'use strict';

/** From how many pieces on which discount in percent is taken off, largest first. */
const BREAKS = [
  [100, 15],
  [50, 10],
  [10, 5],
];

/** The discount in percent that a quantity earns. */
function discountFor(quantity) {
  for (const [from, percent] of BREAKS) {
    if (quantity > from) {
      return percent;
    }
  }
  return 0;
}

module.exports = { BREAKS, discountFor };

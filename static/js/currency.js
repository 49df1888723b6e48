/**
 * Minor units of currencies (ISO 4217), as metering/currency.py has them; a test compares the two.
 * Intl has other figures: it leaves out decimals that are not paid in coins (HUF, IDR, PKR, …), and
 * bills are exact to the minor unit of the standard.
 */

const CODES = {
  0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
  3: "BHD IQD JOD KWD LYD OMR TND",
  4: "CLF UYW",
};

/** Decimals of all minor units that are not 1/100. @type {ReadonlyMap<string, number>} */
export const OTHER_EXPONENTS = new Map(
  Object.entries(CODES).flatMap(([digits, codes]) =>
    codes.split(" ").map((code) => /** @type {[string, number]} */ ([code, Number(digits)])),
  ),
);

/** @param {string} currency  ISO 4217  @returns {number} decimals of its minor unit */
export function exponent(currency) {
  return OTHER_EXPONENTS.get(currency) ?? 2;
}

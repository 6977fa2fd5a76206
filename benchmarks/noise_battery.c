/* Feeds the noise's random bits to a battery of TestU01.

   noise_battery dump|SmallCrush|Crush ORDER UPDATES ELEMENTS < WORDS

   WORDS are rows of two 32-bit words as `noise_words` makes them. ORDER is a
   permutation of "rue" (row, update, element), fastest first. When all three have
   run through, the next UPDATES updates follow. `dump` writes the bits instead, so
   that noise_quality.py can compare this copy of the hash with the package's. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bbattery.h"
#include "swrite.h"
#include "unif01.h"

static uint32_t (*words)[2];
static uint64_t size[3], at[3]; /* rows, updates, elements */
static int axis[3];
static uint32_t first_update;

static uint32_t mix(uint32_t x) {
  x = (x ^ x >> 16) * 0x21F0AAAD;
  x = (x ^ x >> 15) * 0x735A2D97;
  return x ^ x >> 15;
}

static unsigned int next_bits(void) {
  uint32_t update = first_update + (uint32_t)at[1], element = (uint32_t)at[2];
  uint32_t key0 = mix(words[at[0]][0] ^ update);
  uint32_t key1 = words[at[0]][1] + update * 0x1E3779B9;
  uint32_t w = element * 0x9E3779B9;
  uint32_t x = w ^ key0;
  x = (x ^ x >> 16) * 0x21F0AAAD ^ key1;
  x = (x ^ x >> 15) * 0x735A2D97;
  x ^= x >> 15;
  for (int i = 0; i < 3; i++) {
    if (++at[axis[i]] < size[axis[i]]) return x ^ w;
    at[axis[i]] = 0;
  }
  first_update += (uint32_t)size[1];
  return x ^ w;
}

int main(int argc, char **argv) {
  if (argc != 5 || strlen(argv[2]) != 3) return 2;
  for (int i = 0; i < 3; i++) axis[i] = (int)(strchr("rue", argv[2][i]) - "rue");
  words = malloc(sizeof *words << 20);
  size[0] = fread(words, sizeof *words, 1 << 20, stdin);
  size[1] = strtoull(argv[3], NULL, 10);
  size[2] = strtoull(argv[4], NULL, 10);
  if (!strcmp(argv[1], "dump")) {
    for (;;) {
      uint32_t bits = next_bits();
      if (fwrite(&bits, sizeof bits, 1, stdout) != 1) return 0;
    }
  }
  swrite_Basic = FALSE;
  unif01_Gen *generator = unif01_CreateExternGenBits("noise", next_bits);
  if (!strcmp(argv[1], "SmallCrush")) bbattery_SmallCrush(generator);
  else if (!strcmp(argv[1], "Crush")) bbattery_Crush(generator);
  else return 2;
  return 0;
}

"""RSA keys of the kinds that broken generators made, and keys that are published."""

import math
import random

from cryptography.hazmat.primitives.asymmetric import ec, rsa

SMALL = [n for n in range(2, 1000) if all(n % d for d in range(2, math.isqrt(n) + 1))]
# The product of the first 126 primes: what Infineon's library used for keys of 2048 bits (CVE-2017-15361).
PRIMORIAL = math.prod(SMALL[:126])


def is_prime(number, chance):
    if any(number % prime == 0 for prime in SMALL):
        return False
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for _ in range(8):
        power = pow(chance.randrange(2, number - 1), odd, number)
        if power in (1, number - 1):
            continue
        for _ in range(twos - 1):
            power = power * power % number
            if power == number - 1:
                break
        else:
            return False
    return True


def key_of(p, q):
    p, q = max(p, q), min(p, q)
    private = pow(65537, -1, math.lcm(p - 1, q - 1))
    numbers = rsa.RSAPrivateNumbers(
        p=p,
        q=q,
        d=private,
        dmp1=private % (p - 1),
        dmq1=private % (q - 1),
        iqmp=pow(q, -1, p),
        public_numbers=rsa.RSAPublicNumbers(65537, p * q),
    )
    return numbers.private_key(unsafe_skip_rsa_key_validation=True)


def roca(seed=5):
    """Of primes k * M + 65537^a mod M (Nemec and others 2017, section 2)."""
    chance = random.Random(seed)

    def prime():
        while True:
            base = pow(65537, chance.randrange(2**40), PRIMORIAL)
            number = chance.randrange((3 << 1022) // PRIMORIAL, (1 << 1024) // PRIMORIAL) * PRIMORIAL + base
            if number.bit_length() == 1024 and is_prime(number, chance):
                return number

    return key_of(prime(), prime())


def close_primes(seed=5):
    """Of two neighbours (CVE-2022-26320)."""
    chance = random.Random(seed)

    def following(number):
        number |= 1
        while not is_prime(number, chance):
            number += 2
        return number

    p = following(chance.getrandbits(1024) | (3 << 1022))
    return key_of(p, following(p + 2))


def published():
    """testECCP256 of RFC 9500 section 2.3."""
    return ec.derive_private_key(0xE6CB5BDD80AA45AE9C95E8C15476679FFEC953C16851E711E743939589C64FC1, ec.SECP256R1())

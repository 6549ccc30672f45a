#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the treatments' audio: say/*.wav, spoken by espeak-ng, music/*.wav and tone/*.wav, synthesised. 8 kHz mono 16-bit.

A simulated person of the lab is known by a tone. So nothing here may sound like one: the energy within 15 Hz of each of
the lab's tones stays 20 dB below it in every window of 500 ms. `--check` proves that of a folder made before.
"""
import argparse
import array
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import wave
from operator import mul

RATE = 8000
LAB_TONES = (467, 619, 853)  # Hz
LAB_LEVEL = -16.0  # dBFS of a sine whose peak at full scale is 0
BELOW = 20.0  # dB
MARGIN = 3.0  # dB more than asked for: G.711 adds a little noise everywhere
NEAR = 15  # Hz
WINDOW = RATE // 2
HOP = RATE // 5
MUSIC_SECONDS = 24
SPEECH_PEAK = -6.0  # dBFS
MUSIC_PEAK = -14.0

SPEECH = {
    "welcome": "Welcome. Thank you for calling.",
    "queue": "All our agents are busy. Please hold the line, and your call will be answered as soon as possible.",
    "position": "You are waiting in the queue. You will not lose your position.",
    "hold": "Please hold.",
    "please-hold": "Please hold the line while I connect you.",
    "menu": "For sales, press 1. For service, press 2. For everything else, please stay on the line.",
    "recorded": "This call may be recorded.",
    "invalid": "That is not a choice.",
    "agent-ready": "You are ready.",
    "agent-not-ready": "You are not ready.",
    "wrap-up-done": "Wrap-up done.",
    "closed": "We are closed at the moment. Please call again later.",
    "goodbye": "Thank you for calling. Goodbye.",
    **{f"position-{n}": f"You are number {n} in the queue." for n in range(1, 10)},
}


def read_wav(path):
    with wave.open(str(path), "rb") as file:
        if file.getnchannels() != 1 or file.getsampwidth() != 2:
            sys.exit(f"{path}: not mono 16-bit")
        samples = array.array("h", file.readframes(file.getnframes()))
        if sys.byteorder == "big":
            samples.byteswap()
        return file.getframerate(), samples


def write_wav(path, samples):
    """Whole or not at all: a build that is interrupted leaves no half prompt."""
    data = array.array("h", (max(-32767, min(32767, round(s))) for s in samples))
    if sys.byteorder == "big":
        data.byteswap()
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with wave.open(str(part), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(data.tobytes())
    os.replace(part, path)


def resample(samples, rate):
    """To 8 kHz by a windowed sinc, cut off at 3.7 kHz; one filter for each place between two input samples."""
    common = math.gcd(rate, RATE)
    up, down = RATE // common, rate // common
    half = math.ceil(16 * rate / RATE)  # taps each side
    cutoff = 2 * 3700 / rate
    filters = []
    for phase in range(up):
        taps = []
        for k in range(-half + 1, half + 1):
            x = k - phase / up
            sinc = cutoff if x == 0 else math.sin(math.pi * cutoff * x) / (math.pi * x)
            taps.append(sinc * (0.5 + 0.5 * math.cos(math.pi * x / half) if abs(x) < half else 0))
        filters.append(taps)
    padded = [0] * half + list(samples) + [0] * (half + 1)
    made = []
    for n in range(len(samples) * up // down):
        at, phase = divmod(n * down, up)
        made.append(sum(map(mul, filters[phase], padded[at + 1 : at + 1 + 2 * half])))
    return made


def notch(samples, hertz, width, is_loop):
    """A second-order notch. A loop is filtered twice round, so that its end goes over into its begin."""
    w = 2 * math.pi * hertz / RATE
    alpha = math.tan(math.pi * width / RATE)
    gain = 1 / (1 + alpha)
    b1 = -2 * math.cos(w) * gain
    a2 = (1 - alpha) * gain
    x1 = x2 = y1 = y2 = 0.0
    for _ in range(2 if is_loop else 1):
        made = []
        for x in samples:
            y = gain * (x + x2) + b1 * (x1 - y1) - a2 * y2
            x2, x1, y2, y1 = x1, x, y1, y
            made.append(y)
    return made


def without_lab_tones(samples, is_loop):
    for tone in LAB_TONES:
        for offset in (-12, 0, 12):
            samples = notch(samples, tone + offset, 60, is_loop)
    return samples


def tables():
    """For each lab tone the windowed cosines and sines of the bins (2 Hz apart) near it."""
    hann = [0.5 - 0.5 * math.cos(2 * math.pi * i / WINDOW) for i in range(WINDOW)]
    made = {}
    for tone in LAB_TONES:
        bins = []
        for hertz in range(tone - NEAR, tone + NEAR + 1, 2):
            w = 2 * math.pi * hertz / RATE
            bins.append(
                (
                    [h * math.cos(w * i) for i, h in enumerate(hann)],
                    [h * math.sin(w * i) for i, h in enumerate(hann)],
                )
            )
        made[tone] = bins
    return made


TABLES = {}


def loudest_near_tones(samples, is_loop):
    """The most, over all windows and tones, of the energy near a tone, as the level of the sine with that energy."""
    TABLES.update(TABLES or tables())
    samples = list(samples)
    samples += samples[:WINDOW] if is_loop else [0] * WINDOW
    worst = -200.0
    scale = 2 / (WINDOW / 2) / 32767
    for at in range(0, len(samples) - WINDOW + 1, HOP):
        part = samples[at : at + WINDOW]
        for bins in TABLES.values():
            power = sum(sum(map(mul, part, c)) ** 2 + sum(map(mul, part, s)) ** 2 for c, s in bins)
            # 1.5: a Hann window spreads a sine's energy over that many bins.
            worst = max(worst, 10 * math.log10(power * scale * scale / 1.5 + 1e-20))
    return worst


def finished(samples, is_loop):
    """Filtered, as loud as it may be."""
    samples = without_lab_tones(samples, is_loop)
    gain = 10 ** ((MUSIC_PEAK if is_loop else SPEECH_PEAK) / 20) * 32767 / max(map(abs, samples))
    samples = [s * gain for s in samples]
    excess = loudest_near_tones(samples, is_loop) - (LAB_LEVEL - BELOW - MARGIN)
    gain = 10 ** (-excess / 20) if excess > 0 else 1.0
    return [s * gain for s in samples]


def speech(espeak, text):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "spoken.wav"
        subprocess.run([espeak, "-v", "en-gb", "-s", "150", "-w", str(path), text], check=True)
        rate, samples = read_wav(path)
    return resample(samples, rate)


def music():
    """Slow chords of soft plucked notes. None of their harmonics is near a tone of the lab."""
    total = MUSIC_SECONDS * RATE
    made = [0.0] * total
    chords = (  # Hz
        (130.81, 261.63, 329.63, 392.00),
        (110.00, 220.00, 261.63, 329.63),
        (87.31, 174.61, 261.63, 349.23),
        (98.00, 196.00, 293.66, 392.00),
        (130.81, 261.63, 329.63, 523.25),
        (110.00, 220.00, 329.63, 523.25),
        (87.31, 174.61, 220.00, 349.23),
        (98.00, 196.00, 293.66, 392.00),
    )
    length = total // len(chords)
    note = 3 * RATE
    for number, chord in enumerate(chords):
        for step, hertz in enumerate(chord):
            start = number * length + step * RATE // 2
            for harmonic, loudness in ((1, 1.0), (2, 0.25)):
                w = 2 * math.pi * hertz * harmonic / RATE
                for i in range(note):
                    swell = min(1.0, i / 400) * math.exp(-i / (0.9 * RATE)) * min(1.0, (note - i) / 800)
                    made[(start + i) % total] += loudness * swell * math.sin(w * i)
    return made


def hold_music():
    """A slow melody over held fifths, in a metre and with a timbre that the default music has not."""
    total = MUSIC_SECONDS * RATE
    made = [0.0] * total
    beat = RATE * 3 // 4
    melody = (392.00, 440.00, 523.25, 0, 440.00, 392.00, 329.63, 0, 349.23, 392.00, 440.00, 0, 392.00, 329.63, 293.66, 0,
              392.00, 523.25, 440.00, 0, 349.23, 440.00, 392.00, 0, 329.63, 392.00, 349.23, 0, 293.66, 329.63, 261.63, 0)
    basses = (130.81, 110.00, 87.31, 98.00)
    for step, hertz in enumerate(melody):
        tone(made, step * beat, 2 * beat, hertz, 1.0)
        if step % 8 == 0:
            bass = basses[step // 8]
            tone(made, step * beat, 8 * beat, bass, 0.5)
            tone(made, step * beat, 8 * beat, bass * 1.5, 0.35)
    return made


def tone(made, start, length, hertz, loudness):
    """Adds a soft note that swells and fades."""
    w = 2 * math.pi * hertz / RATE
    for i in range(length if hertz else 0):
        swell = math.sin(math.pi * i / length) ** 2
        made[(start + i) % len(made)] += loudness * swell * (math.sin(w * i) + 0.15 * math.sin(3 * w * i))


def cadenced(hertz, seconds, sounding):
    """A tone that sounds in the given stretches of so many seconds, without clicks at their ends."""
    made = [0.0] * round(seconds * RATE)
    ramp = RATE // 50
    for first, last in sounding:
        start, length = round(first * RATE), round((last - first) * RATE)
        for i in range(length):
            swell = 0.5 - 0.5 * math.cos(math.pi * min(1.0, i / ramp, (length - i) / ramp))
            made[start + i] += swell * sum(math.sin(2 * math.pi * f * i / RATE) for f in hertz)
    return made


def ringback():
    """Twice 0.4 s in 3 s, as in Britain, of 375 and 425 Hz: its usual 450 Hz is too near to a tone of the lab."""
    return cadenced((375.0, 425.0), 24, [(at + 3 * n, at + 3 * n + 0.4) for n in range(8) for at in (0.0, 0.6)])


def make(out, espeak):
    for name, text in SPEECH.items():
        write_wav(out / "say" / f"{name}.wav", finished(speech(espeak, text), False))
    for name, compose in MUSIC.items():
        write_wav(out / "music" / f"{name}.wav", finished(compose(), True))
    # Heard every some seconds while a call is recorded; 1,400 Hz and 0.2 s as is usual for it.
    write_wav(out / "tone" / "beep.wav", finished(cadenced((1400.0,), 0.2, [(0.0, 0.2)]), False))


MUSIC = {"default": music, "hold": hold_music, "ringback": ringback}


def check(out):
    files = sorted(out.glob("*/*.wav"))
    missing = [n for n in [f"say/{name}.wav" for name in SPEECH] + [f"music/{name}.wav" for name in MUSIC] + ["tone/beep.wav"] if out / n not in files]
    bad = [f"{name}: is missing" for name in missing]
    for path in files:
        rate, samples = read_wav(path)
        is_music = path.parent.name == "music"
        seconds = len(samples) / rate
        level = 10 * math.log10(2 * sum(map(mul, samples, samples)) / max(1, len(samples)) / 32767**2 + 1e-20)
        near = loudest_near_tones(samples, is_music)
        print(f"{path.parent.name}/{path.name}: {seconds:.1f} s, {level:.1f} dBFS, near the lab's tones {near:.1f} dBFS")
        if rate != RATE:
            bad.append(f"{path}: {rate} Hz")
        if near > LAB_LEVEL - BELOW:
            bad.append(f"{path}: {near:.1f} dBFS near a lab tone, more than {LAB_LEVEL - BELOW}")
        if level < -40:
            bad.append(f"{path}: nobody would hear it")
        if is_music and seconds < 20:
            bad.append(f"{path}: shorter than 20 s")
    # The measure itself: a lab tone must be found at its level, one 40 Hz beside it must not.
    tone = [10 ** (LAB_LEVEL / 20) * 32767 * math.sin(2 * math.pi * 619 * i / RATE) for i in range(RATE)]
    beside = [10 ** (LAB_LEVEL / 20) * 32767 * math.sin(2 * math.pi * 660 * i / RATE) for i in range(RATE)]
    if abs(loudest_near_tones(tone, True) - LAB_LEVEL) > 0.5 or loudest_near_tones(beside, True) > -60:
        bad.append("the measure is wrong")
    return bad


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=pathlib.Path, help="the prompts folder")
    parser.add_argument("--espeak", default="espeak-ng")
    parser.add_argument("--check", action="store_true", help="only check what is there")
    given = parser.parse_args()
    if not given.check:
        make(given.out, given.espeak)
        return
    bad = check(given.out)
    if bad:
        sys.exit("\n".join(bad))


if __name__ == "__main__":
    main()

"""Charts as SVG, without a library: bars, one group for each row and one bar for each server; lines over
a logarithmic axis for what grows."""
import html
import math

COLORS = {"cove": "#2563eb", "pg": "#93b4f5", "debian": "#9ca3af", "v3": "#d1a054"}
NAMES = {"cove": "Cove", "pg": "Cove on PostgreSQL", "debian": "docker-registry 2.8 (Debian)", "v3": "distribution v3"}
BAR, GAP, LEFT, WIDE = 13, 14, 340, 420


def number(x):
    return f"{x:.3g}" if x < 1000 else f"{x:,.0f}"


def bars(title, rows, kinds):
    """rows: (label, {kind: value}); every group has its own scale, so only bars within it compare."""
    height = 58 + sum(len([k for k in kinds if v.get(k) is not None]) * BAR + GAP for _, v in rows)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDE + 90} {height}" '
           'font-family="sans-serif" font-size="11">',
           '<rect width="100%" height="100%" fill="white"/>',
           f'<text x="10" y="18" font-size="14">{html.escape(title)}</text>']
    for i, kind in enumerate(kinds):
        out.append(f'<rect x="{10 + i * 185}" y="28" width="10" height="10" fill="{COLORS[kind]}"/>'
                   f'<text x="{25 + i * 185}" y="37">{NAMES[kind]}</text>')
    y = 54
    for label, values in rows:
        present = [k for k in kinds if values.get(k) is not None]
        top = max([values[k] for k in present] + [1e-12])
        out.append(f'<text x="{LEFT - 8}" y="{y + len(present) * BAR / 2 + 4}" text-anchor="end">'
                   f'{html.escape(label)}</text>')
        for kind in present:
            wide = max(1.0, WIDE * values[kind] / top)
            out.append(f'<rect x="{LEFT}" y="{y}" width="{wide:.1f}" height="{BAR - 2}" '
                       f'fill="{COLORS[kind]}"/><text x="{LEFT + wide + 4:.1f}" y="{y + BAR - 4}">'
                       f'{number(values[kind])}</text>')
            y += BAR
        y += GAP
    return "\n".join(out + ["</svg>", ""])


LINES = ("#2563eb", "#b45309", "#0f766e", "#7c3aed")


def lines(title, unit, series):
    """series: {label: [(x, y)]}; x from 1 to 1,000,000, logarithmic; y from 0."""
    series = {k: v for k, v in series.items() if v}
    top = max([y for points in series.values() for _, y in points] + [1e-12]) * 1.25
    left, low, wide, tall = 60, 270, 560, 210
    out = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 310" font-family="sans-serif" font-size="11">',
           '<rect width="100%" height="100%" fill="white"/>',
           f'<text x="10" y="18" font-size="14">{html.escape(title)}</text>',
           f'<text x="10" y="36" fill="#555">{html.escape(unit)}</text>']
    for i in range(5):
        y = low - tall * i / 4
        out.append(f'<path d="M{left} {y:.1f}H{left + wide}" stroke="#e5e7eb"/>'
                   f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{number(top * i / 4)}</text>')
    for power in range(1, 7):
        x = left + wide * (power - 1) / 5
        out.append(f'<text x="{x:.1f}" y="{low + 18}" text-anchor="middle">{10 ** power:,}</text>')
    for color, (label, points) in zip(LINES, series.items()):
        at = [(left + wide * (math.log10(x) - 1) / 5, low - tall * y / top) for x, y in points]
        out.append(f'<path d="M{" L".join(f"{x:.1f} {y:.1f}" for x, y in at)}" fill="none" stroke="{color}" stroke-width="2"/>')
        out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>' for x, y in at]
        out.append(f'<text x="{at[-1][0] + 8:.1f}" y="{at[-1][1] + 4:.1f}" fill="{color}">{html.escape(label)}</text>')
    return "\n".join(out + ["</svg>", ""])

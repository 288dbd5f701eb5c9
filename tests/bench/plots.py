"""Bar charts as SVG, without a library: one group of bars for each row, one bar for each server."""
import html

COLORS = {"cove": "#2563eb", "debian": "#9ca3af", "v3": "#d1a054"}
NAMES = {"cove": "Cove", "debian": "docker-registry 2.8 (Debian)", "v3": "distribution v3"}
BAR, GAP, LEFT, WIDE = 13, 14, 250, 420


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
        out.append(f'<rect x="{10 + i * 200}" y="28" width="10" height="10" fill="{COLORS[kind]}"/>'
                   f'<text x="{25 + i * 200}" y="37">{NAMES[kind]}</text>')
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

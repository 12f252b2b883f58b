// Put into a copy of a report by test_report.c: measures what a reader sees, and leaves it in the page.
(() => {
    const problems = [];
    const luminance = (colour) => {
        const [r, g, b] = colour.match(/[\d.]+/g).map(Number).map((c) => c / 255).map((c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const contrast = (a, b) => (Math.max(luminance(a), luminance(b)) + 0.05) / (Math.min(luminance(a), luminance(b)) + 0.05);
    const ground = getComputedStyle(document.body).backgroundColor;
    let texts = 0;
    document.querySelectorAll('svg').forEach((svg) => {
        const name = svg.closest('figure')?.id ?? '', box = svg.getBoundingClientRect(), scale = box.width / svg.viewBox.baseVal.width;
        const own = svg.closest('.paper > div'), behind = own ? getComputedStyle(own).backgroundColor : ground;
        const seen = [];
        svg.querySelectorAll('text').forEach((text) => {
            const r = text.getBoundingClientRect();
            if (r.width === 0 || !text.textContent.trim())
                return;
            texts++;
            const what = name + ' "' + text.textContent.trim() + '"', style = getComputedStyle(text), m = text.getScreenCTM();
            const slanted = Math.abs(m.a) > 1e-6 && Math.abs(m.b) > 1e-6;
            if (r.left < box.left - 1 || r.right > box.right + 1 || r.top < box.top - 1 || r.bottom > box.bottom + 1)
                problems.push('clipped: ' + what);
            if (parseFloat(style.fontSize) * scale < 8)
                problems.push('small: ' + what + ' ' + (parseFloat(style.fontSize) * scale).toFixed(1));
            // A map's numbers stand on its cells.
            if (!name.endsWith('correlation') && contrast(style.fill, behind) < 4.5)
                problems.push('pale: ' + what + ' ' + style.fill + ' on ' + behind);
            // A letter's box is higher than the letter.
            const t = r.height * 0.15;
            if (!slanted)
                seen.forEach((o) => {
                    if (r.left < o.r.right - 1 && o.r.left < r.right - 1 && r.top + t < o.r.bottom - t && o.r.top + t < r.bottom - t)
                        problems.push('overlap: ' + what + ' and ' + o.what);
                });
            if (!slanted)
                seen.push({r, what});
        });
    });
    if (document.documentElement.scrollWidth > innerWidth)
        problems.push('the page is ' + document.documentElement.scrollWidth + ' wide, the screen ' + innerWidth);
    const dark = luminance(ground) < 0.2;
    const out = document.createElement('pre');
    out.textContent = 'MEASURED ' + innerWidth + (dark ? ' dark' : ' light') + ' svgs:' + document.querySelectorAll('svg').length + ' texts:' + texts +
        ' problems:' + problems.length + '\n' + problems.join('\n');
    document.body.prepend(out);
})();

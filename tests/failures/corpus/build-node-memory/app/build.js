const pages = [];
for (;;) pages.push(new Array(100000).fill(pages.length));

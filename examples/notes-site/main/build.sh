#!/bin/sh
# Builds public/index.html from page.html, style.css and the address of the API.
set -eu
mkdir -p public
cp style.css public/
sed "s|@API_URL@|${API_URL:?the address of the API is not set}|g" page.html > public/index.html.new
mv public/index.html.new public/index.html

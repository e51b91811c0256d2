# The app of this server, from repository to health. Any language: the template says how it is built and run.
include:
  - app.checkout
  - app.env
  - app.build
  - app.service
  - app.health

require "sinatra/base"

class Hello < Sinatra::Base
  get "/" do
    "Hello from #{ENV.fetch("DYNO")}, #{ENV.fetch("GREETING", "no greeting")}\n"
  end
end

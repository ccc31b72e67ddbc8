class GreetingsController < ApplicationController
  def show
    Visit.create!(dyno: ENV["DYNO"])
    session[:visits] = session[:visits].to_i + 1
  end
end
